"""Video models by name, what is pulled of them, and weights that take a UNet's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vjengine.errors import GeneratorError, UsageError
from vjengine.generate.turbo.catalogue import CATALOGUE
from vjengine.generate.turbo.hub import choose_files
from vjengine.offline.diffusion.films import FILMS, Place, find
from vjengine.offline.diffusion.sampling import Levels, first_spread, levels, schedule


def test_rows_name_models_that_can_be_pulled() -> None:
    for film in FILMS.values():
        assert CATALOGUE[film.model].film
        assert all(path.endswith((".json", ".safetensors")) for path in CATALOGUE[film.model].model.files)


def test_a_model_that_is_not_here_says_which_command_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VJENGINE_MODELS", str(tmp_path))
    with pytest.raises(GeneratorError, match=r"vjengine models pull svd-xt \(4.5 GB\)"):
        find("animatelcm-svd-xt")
    with pytest.raises(UsageError, match=r"did you mean 'svd-xt'\?\); a folder"):
        find("svdxt")
    with pytest.raises(UsageError, match="animatelcm-svd-xt"):
        find("magic")


def test_of_a_video_model_exactly_its_parts_are_pulled() -> None:
    parts = CATALOGUE["svd-xt"].model.files
    more = ("svd_xt.safetensors", "unet/diffusion_pytorch_model.safetensors", "image_encoder/model.safetensors")
    assert set(choose_files("owner/name", {*parts, *more})) == set(parts)


def test_levels_fall_and_end_where_they_must() -> None:
    euler = levels("euler", 25, Levels())
    assert euler[0] == pytest.approx(700.0)
    assert euler[-1] == pytest.approx(0.002)
    few = levels("consistency", 4, Levels())
    assert few[0] == pytest.approx(700.0)
    assert few[-1] > 0.01  # the last step still has something to do
    for sampler in ("euler", "consistency"):
        for steps in (1, 2, 4, 7, 40, 50):
            found = schedule(sampler, steps, Levels())  # type: ignore[arg-type]
            assert (np.diff(levels(sampler, steps, Levels())) < 0).all()  # type: ignore[arg-type]
            assert (found[-1].go_x, found[-1].go_x0, found[-1].go_noise) == (0.0, 1.0, 0.0)
    assert first_spread("euler", Levels()) > 700.0


def test_a_perfect_model_comes_to_its_picture() -> None:
    """With a network that knows the picture, both samplers end at it, from whatever noise."""
    numbers = np.random.default_rng(1)
    picture = numbers.standard_normal(64)
    for sampler in ("euler", "consistency"):
        x = numbers.standard_normal(64) * first_spread(sampler, Levels())  # type: ignore[arg-type]
        for step in schedule(sampler, 6, Levels()):  # type: ignore[arg-type]
            said = (picture - step.keep * x) / step.take
            believed = step.keep * x + step.take * said
            x = step.go_x * x + step.go_x0 * believed + step.go_noise * numbers.standard_normal(64)
        assert np.allclose(x, picture)


def test_weights_of_a_distilled_unet_take_its_place(svd_folder: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    from vjengine.offline.diffusion.parts import load_parts, read_card

    tensors = load_file(svd_folder / "unet" / "diffusion_pytorch_model.safetensors")
    tensors["conv_out.bias"] = torch.full_like(tensors["conv_out.bias"], 3.0)
    other = tmp_path / "distilled.safetensors"
    save_file(tensors, other)
    row = FILMS["animatelcm-svd-xt"]
    card = read_card(Place("x", svd_folder, other, film=row), "float32", "float32")
    plain = read_card(Place("x", svd_folder), "float32", "float32")
    assert (card.sampler, card.steps) == ("consistency", 4)
    assert (plain.sampler, plain.steps) == ("euler", 25)
    assert card.fingerprint != plain.fingerprint
    how = {"device": "cpu", "precision": "float32", "vae_precision": "float32", "alive": lambda *_: None}
    assert float(load_parts(card, **how).unet.conv_out.bias[0]) == 3.0  # type: ignore[arg-type]
    save_file({key: value for key, value in tensors.items() if "conv_in" not in key}, other)
    with pytest.raises(GeneratorError, match=r"distilled.safetensors does not fit.*conv_in"):
        load_parts(card, **how)  # type: ignore[arg-type]
