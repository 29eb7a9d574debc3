"""Prompts to conditions: the model's text encoders, run a few layers at a time so that no picture waits for a prompt.

What comes out is what diffusers' own ``encode_prompt`` gives: Stable Diffusion reads the last hidden states (the
published text encoders of 2.x are already cut where they are to be read), SDXL the last but one of both encoders side
by side, and the projected end token of the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.parts import TurboParts
from vjengine.generate.turbo.plan import TEXT_TOKENS, FramePlan

SLICES_CPU = 4
SLICES_DEVICE = 8
"""Frames that a prompt's encoding is spread over: on a device frames are short, so slices must be too."""


class TextEncoder:
    """The text encoders of a model.

    Attributes:
        slices: number of :meth:`Encoding.step` calls that a text takes, always.
        size_ids: ``(1, 6)`` size conditions of the plan, for ``sdxl``; else None.
        empty: the conditions of the empty text.
    """

    def __init__(self, parts: TurboParts, plan: FramePlan) -> None:
        self.slices = SLICES_CPU if plan.device == "cpu" else SLICES_DEVICE
        self._device = torch.device(plan.device)
        self._dtype: torch.dtype = getattr(torch, plan.precision)
        wide = parts.kind == "sdxl"
        self._towers = [
            _Tower(
                tokenizer, encoder, self._device, penultimate=wide, pooled=wide and encoder is parts.text_encoders[-1]
            )
            for tokenizer, encoder in zip(parts.tokenizers, parts.text_encoders, strict=True)
        ]
        self.size_ids: torch.Tensor | None = None
        if wide:
            width, height = plan.size
            # Original size, top-left corner of the crop, wanted size.
            sizes = [[height, width, 0, 0, height, width]]
            self.size_ids = torch.tensor(sizes, dtype=self._dtype, device=self._device)
        self.empty = self.encode("")

    def encode(self, text: str) -> TextState:
        """Return the conditions of ``text``, all at once."""
        encoding = self.start(text)
        while (state := encoding.step()) is None:
            pass
        return state

    def start(self, text: str) -> Encoding:
        """Begin with ``text``."""
        return Encoding(self, text)

    def seen(self, text: str) -> str:
        """Return the last words of ``text`` that the model sees, if it is too long to be seen whole; else nothing."""
        # A token is at least one byte.
        if len(text.encode("utf-8", "replace")) <= TEXT_TOKENS - 2:
            return ""
        return max((tower.seen(text) for tower in self._towers), key=len)

    @property
    def cost(self) -> int:
        """Work of one text, in weights used."""
        return sum(tower.cost for tower in self._towers)

    def run(self, text: str) -> Iterator[int | TextState]:
        """Encode ``text`` and yield after every layer what it cost, in the end the conditions."""
        hidden: list[torch.Tensor] = []
        pooled: torch.Tensor | None = None
        for tower in self._towers:
            for result in tower.run(text):
                if isinstance(result, int):
                    yield result
                else:
                    states, pooled = result
                    hidden.append(states)
        embeds = torch.cat(hidden, -1).to(self._dtype)
        yield TextState(embeds, None if pooled is None else pooled.to(self._dtype), self.size_ids)


class Encoding:
    """One text on its way through the encoders. The same number of steps, with the same work in each, every time."""

    def __init__(self, encoder: TextEncoder, text: str) -> None:
        self.text = text
        self._run = encoder.run(text)
        self._total = encoder.cost
        self._slices = encoder.slices
        self._steps = 0
        self._spent = 0

    @torch.inference_mode()
    def step(self) -> TextState | None:
        """Run the next slice; return the conditions after the last."""
        self._steps += 1
        last = self._steps >= self._slices
        while last or self._spent * self._slices < self._total * self._steps:
            result = next(self._run)
            if isinstance(result, TextState):
                return result
            self._spent += result
        return None


class _Tower:
    """One CLIP text encoder, opened up so that its layers can be run one by one.

    How a layer wants to be called (masks, flags) differs between versions of transformers; it is learnt by watching
    the library call its first layer once. Only the names of the parts are taken for granted.
    """

    def __init__(self, tokenizer: Any, encoder: Any, device: torch.device, *, penultimate: bool, pooled: bool) -> None:
        self._tokenizer = tokenizer
        self._device = device
        self._penultimate = penultimate
        self._embeddings = _part(encoder, "embeddings")
        self._norm = _part(encoder, "final_layer_norm")
        self._projection = _part(encoder, "text_projection") if pooled else None
        self._end = int(encoder.config.eos_token_id)
        layers = list(_part(encoder, "encoder.layers"))
        self._arguments, self._options = self._watch(encoder, layers[0])
        # Nobody reads the last layer where the last but one is wanted and nothing is pooled.
        self._layers = layers if pooled or not penultimate else layers[:-1]
        self._costs = [sum(weight.numel() for weight in layer.parameters()) for layer in self._layers]
        self.cost = sum(self._costs)

    @torch.inference_mode()
    def _watch(self, encoder: Any, layer: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what the library gives its first layer beside the hidden states: the same for every text."""
        seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        hook = layer.register_forward_pre_hook(lambda _, args, kwargs: seen.append((args, kwargs)), with_kwargs=True)
        try:
            encoder(self._tokens(""))
        finally:
            hook.remove()
        arguments, options = seen[0]
        return arguments[1:], {key: value for key, value in options.items() if key != "hidden_states"}

    def run(self, text: str) -> Iterator[int | tuple[torch.Tensor, torch.Tensor | None]]:
        """Yield the cost of every layer after running it, in the end (hidden states, pooled text)."""
        tokens = self._tokens(text)
        hidden: torch.Tensor = self._embeddings(input_ids=tokens)
        before = hidden
        for layer, cost in zip(self._layers, self._costs, strict=True):
            before = hidden
            result = layer(hidden, *self._arguments, **self._options)
            hidden = result[0] if isinstance(result, tuple) else result
            yield cost
        if self._projection is None:
            yield (hidden if self._penultimate else self._norm(hidden)), None
            return
        # Old configurations name a wrong end token (2); the real one has the highest number. Padding may repeat it.
        ends = tokens[0].argmax() if self._end == 2 else (tokens[0] == self._end).int().argmax()
        end = torch.index_select(self._norm(hidden), 1, ends.reshape(1))[:, 0]
        yield (before if self._penultimate else self._norm(hidden)), self._projection(end)

    def seen(self, text: str) -> str:
        """Return the last words of ``text`` before it is cut; nothing if it is not."""
        whole = self._tokenizer(text, truncation=False, verbose=False).input_ids
        if len(whole) <= TEXT_TOKENS:
            return ""
        kept: str = self._tokenizer.decode(whole[: TEXT_TOKENS - 1], skip_special_tokens=True)
        return kept[-24:].lstrip()

    def _tokens(self, text: str) -> torch.Tensor:
        """Return ``(1, 77)`` token numbers on the device."""
        given = self._tokenizer(
            text, padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
        ).input_ids
        tokens: torch.Tensor = given.to(self._device)
        return tokens


def _part(encoder: Any, name: str) -> Any:
    """Return the part of a text encoder whose path ends in ``name``; some versions wrap it in ``text_model``."""
    for path, module in encoder.named_modules():
        if path == name or path.endswith(f".{name}"):
            return module
    raise GeneratorError(
        f"the model's text encoder is a {type(encoder).__name__} without {name!r}; "
        "use a model of the Stable Diffusion 1, 2 or XL family, whose text encoders are CLIP's"
    )
