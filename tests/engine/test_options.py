import pytest

from vjengine.engine.options import PictureOptions, parse_address, parse_size
from vjengine.errors import UsageError


def test_sizes_are_even_and_bounded() -> None:
    assert parse_size("1280x720") == (1280, 720)
    for wrong in ("1280", "1281x720", "0x0", "axb", "99999x10", "-2x4", ""):
        with pytest.raises(UsageError, match=r"1280x720|WIDTHxHEIGHT"):
            parse_size(wrong)


def test_addresses_default_to_this_machine() -> None:
    assert parse_address("7000") == ("127.0.0.1", 7000)
    assert parse_address("10.0.0.2:9000") == ("10.0.0.2", 9000)
    assert parse_address("[::1]:9000") == ("::1", 9000)
    for wrong in ("", "host:", ":9", "host:99999", "host:x"):
        with pytest.raises(UsageError, match="HOST:PORT"):
            parse_address(wrong)


def test_the_generators_frames_keep_the_programmes_shape() -> None:
    assert PictureOptions(size=(1920, 1080)).frames_size(512) == (512, 288)
    assert PictureOptions(size=(320, 180)).frames_size(512) == (320, 180)
    assert PictureOptions(generator_size=(64, 64)).frames_size() == (64, 64)
