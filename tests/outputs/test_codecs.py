"""Encoders as they are set up: the same pictures give the same bytes."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np

from vjengine.outputs.codecs import load_av, video_options

SIZE = (64, 36)


def test_the_same_pictures_give_the_same_bytes_every_time() -> None:
    # As x264 comes, about one in three of these differs on processors with AVX-512; of our own clips, in which nothing
    # is reordered, one in a hundred.
    av = load_av()
    ground = np.kron(np.random.default_rng(1).integers(0, 255, (9, 16, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    pictures = [np.ascontiguousarray(ground[k : k + SIZE[1], 2 * k : 2 * k + SIZE[0]]) for k in range(16)]
    frames = [av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p") for picture in pictures]
    found = set()
    for _ in range(40):
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height = SIZE
        context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 30), Fraction(30)
        context.options = video_options("libx264", 12, "veryfast")
        context.thread_count = 4
        digest = hashlib.sha256()
        for number, frame in enumerate([*frames, None]):
            if frame is not None:
                frame.pts, frame.pict_type = number, 0
            for packet in context.encode(frame):
                digest.update(bytes(packet))
        found.add(digest.hexdigest())
    assert len(found) == 1
