"""A new project: files that say in themselves what can be written into them."""

from __future__ import annotations

import re
from pathlib import Path

from vjengine.errors import RecordError, UsageError
from vjengine.offline.project.prompt import MODES
from vjengine.offline.project.settings import CONTINUATIONS

PROMPT, SETTINGS, INPUTS, RUNS = "prompt.md", "settings.yaml", "inputs", "runs"

_NAME = re.compile(r"[\w][\w .-]{0,80}")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")

_PROMPT = """\
---
title: {title}
mode: {mode}
backend: {backend}
---

<!-- What is wanted, in words. How it is made (size, steps, seed, frames a second) stands in settings.yaml. -->

# Prompt

{prompt}

# Negative

text, watermark, people

# Style

deep blacks, few colours, soft light

# Motion

slow drift, things come and go as if under water
"""

_BEGINS = {
    "text": "ink blooming in dark water, veils of colour folding into one another",
    "image": "the picture in inputs/ comes alive; ink blooming, veils of colour folding into one another",
    "video": "the video in inputs/ goes on where it ends; ink blooming, veils of colour folding into one another",
}

_SETTINGS = """\
# How the film is made. What is to be seen stands in prompt.md. A key without a value has the default given beside it.

film:
  size: {size:<16} # of the pictures as made, px; both even
  fps:                   # pictures a second as made; default: what suits the backend (built-in 30, others 12)
  seed: 1                # of everything random: the same seed makes the same film
  cycles: 10             # chunks that `vjengine run` makes, if it is not told how many
  frames: 0              # new pictures a cycle; 0: what the backend makes best in one go
  motion: 0.5            # how much moves, 0 to 1; music: as the track under inputs has it
  noise: 0.02            # on the picture that the next ones are made from, 0 to 0.1; more when it is about to freeze
  anchor: fixed          # what keeps the scene: fixed (its first picture), glide (slowly follows), none
  guidance: [1, 2]       # of the first and the last picture of a chunk; above 2, colours burn within a few chunks
  stabilise: auto        # hold colours and detail: auto (all but the built-in backend), true, false
  retries: 3             # a chunk that drifts, freezes or jumps is made again so often, with new seeds
  tries: 3               # a cycle is begun again so often when the backend fails in a way that may pass
  on_failure: stop       # a backend that keeps failing: stop (the film so far is finished), builtin (that one goes on)

inputs:                  # files, from this folder; none is needed in mode text
  picture:               # that the film begins with (mode image); default: the only picture in inputs/
  video:                 # whose last pictures it begins with (mode video); default: the only video in inputs/
  audio:                 # put under the film, which is then no longer than it; default: the only track in inputs/

finish:                  # the final film, made of the base film at the end of every run
  fps: 60                # pictures a second; new ones are put in between, along the motion
  size: 1080p            # 720p, 1080p, 1440p, 4k or WxH
  interpolate: dis       # dis, hold (no new pictures), minterpolate (slow), rife (if installed)
  upscale: lanczos       # lanczos, realesrgan (if installed)
  fit: fill              # other proportions: fill (cut off), pad (leave black)
  encoder: auto          # auto: the graphics card's if it works, else libx264; or the name of one
  crf:                   # quality, 0 to 51, lower is better; default: what suits the encoder
  grade: ""              # such as exposure=0.2,contrast=1.1,saturation=1.1
  lut:                   # a .cube file
  artist: ""             # a tag of the film

# Settings of the backends; only those of the one named in prompt.md count. `vjengine backends` says which work here.

builtin: {{}}              # needs nothing

diffusers: {{}}            # Stable Video Diffusion here: model (svd-xt, a folder, owner/name), steps, device ...

turbo: {{}}                # the turbo loop: model, strength, steps, inertia, drift, device ...

comfyui:
  server: http://127.0.0.1:8188
  workflow:              # saved by Export (API), with {{{{image}}}}, {{{{seed}}}} ... put in; default: SVD
  first:                 # one that makes the first picture from {{{{prompt}}}}; default: an SDXL Turbo checkpoint
  values: {{}}             # more placeholders, such as {{checkpoint: svd_xt.safetensors, steps: 25}}
  frames: 24             # new pictures that it makes in one go
  skip: 1                # pictures at its beginning that are not new: SVD's first repeats the last one
  seconds: 3600          # the most that one chunk may take
  patience: 600          # s without a word before a chunk counts as stuck

replicate:
  model: ""              # owner/name or owner/name:version; pictures and videos leave this machine, and cost money
  input: {{}}              # its own input, such as {{input_image: "{{{{image}}}}", seed: "{{{{seed}}}}"}}
  first_model: ""        # one that makes the first picture; or put a picture into inputs/
  first_input: {{}}
  frames: 24
  skip: 1
  token_file:            # where the token is, if REPLICATE_API_TOKEN is not set; never write it in here
  price: 0               # of one prediction, for the estimate of --dry-run
  seconds: 3600
"""

_IGNORE = "runs/\n"


def new_project(folder: Path, mode: str = "text", backend: str = "builtin") -> Path:
    """Make the project ``folder``; return its path.

    Raises:
        UsageError: a name that cannot be a folder's everywhere, or one that is taken.
        RecordError: the disk refuses.
    """
    check_name(folder.name)
    if mode not in MODES:
        raise UsageError(f"--mode {mode}: expected {', '.join(MODES)}")
    if backend not in CONTINUATIONS:
        raise UsageError(f"--backend {backend}: expected {', '.join(CONTINUATIONS)}")
    if (folder / PROMPT).exists() or (folder / SETTINGS).exists():
        raise UsageError(f"{folder} is a project already; choose another name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty; choose another name")
    size = "1280x720" if backend == "builtin" else "1024x576"
    title = folder.name.replace("-", " ").replace("_", " ").strip().capitalize()
    files = {
        PROMPT: _PROMPT.format(title=title, mode=mode, backend=backend, prompt=_BEGINS[mode]),
        SETTINGS: "\n".join(line.rstrip() for line in _SETTINGS.format(size=size).splitlines()) + "\n",
        ".gitignore": _IGNORE,
    }
    try:
        for part in (INPUTS, RUNS):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecordError(f"{folder} cannot be made: {error.strerror or error}") from error
    return folder


def check_name(name: str) -> None:
    """Refuse a name that is no folder's on one system or another.

    Raises:
        UsageError: if it is none.
    """
    if not _NAME.fullmatch(name) or name.endswith((".", " ")) or _DEVICES.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a folder's name everywhere: take letters, digits, - and _")
