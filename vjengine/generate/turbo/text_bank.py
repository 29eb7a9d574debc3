"""Encoded texts on the device, and mixtures of them that cost a few additions a frame.

Whatever is in force between prompts, a weighted list or a point on a glide, is a linear combination of rows of this
bank. Its coefficients are worked out on the host from the rows' inner products, which are known from the moment a text
is encoded: while a picture is drawn nothing is read back from the device and nothing is allocated.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from vjengine.errors import GeneratorError
from vjengine.generate.turbo.accel.base import TextState
from vjengine.generate.turbo.plan import TEXT_TOKENS, FramePlan

TEXTS = 64
"""Texts kept; the one not used for longest goes first. 20 MB of device memory, 41 MB for SDXL."""
MIXTURES = 2
"""Rows beside them that keep where a mixture came from."""
NEARLY_PARALLEL = 0.01
"""Below this sine of the angle an arc is a line, and the angle is mostly rounding."""

Coefficients = npt.NDArray[np.float64]
"""``(spans, rows)``: how much of every row is in every span."""


class TextBank:
    """Rows of float32 numbers, one a text. A row has spans, which mix by themselves:

    the start token, the same in every prompt, whose large values the UNet leans on: it must keep its size, so it is
    mixed linearly; the other tokens; and the pooled text, if there is one.
    """

    def __init__(self, like: TextState, plan: FramePlan) -> None:
        """Make an empty bank for conditions ``like`` these."""
        width = like.embeds.shape[-1]
        tokens = TEXT_TOKENS * width
        pooled = 0 if like.pooled is None else like.pooled.shape[-1]
        ends = [0, width, tokens] + ([tokens + pooled] if pooled else [])
        self.spans = [slice(low, high) for low, high in pairwise(ends)]
        self.size_ids = like.size_ids
        self.shape = (1, TEXT_TOKENS, width)
        self.dtype: torch.dtype = getattr(torch, plan.precision)
        device = torch.device(plan.device)
        self.rows = torch.zeros(MIXTURES + TEXTS, ends[-1], device=device)
        self.pieces = [[row[span] for span in self.spans] for row in self.rows]
        count = len(self.rows)
        self.products = np.zeros((len(self.spans), count, count))
        self._found = torch.zeros(len(self.spans), count, device=device)
        self._found_here = torch.zeros(len(self.spans), count, pin_memory=device.type == "cuda")
        self._row_of: dict[str, int] = {}
        self._pending: tuple[str, int] | None = None

    def row(self, text: str) -> int | None:
        """Return the row of ``text``, which now counts as used last; None if it is not here."""
        row = self._row_of.pop(text, None)
        if row is not None:
            self._row_of[text] = row
        return row

    @torch.inference_mode()
    def put(self, text: str, state: TextState) -> None:
        """Begin to take in ``text``: its numbers, and on their way to the host its products with all rows."""
        taken = self._row_of.values()
        row = next((row for row in range(MIXTURES, len(self.rows)) if row not in taken), None)
        if row is None:
            oldest = next(known for known in self._row_of if known)  # the empty text stays
            row = self._row_of.pop(oldest)
        tokens = self.spans[1].stop
        self.rows[row, :tokens].copy_(state.embeds.reshape(-1))
        if state.pooled is not None:
            self.rows[row, tokens:].copy_(state.pooled.reshape(-1))
        for number, span in enumerate(self.spans):
            torch.mv(self.rows[:, span], self.rows[row, span], out=self._found[number])
        self._found_here.copy_(self._found, non_blocking=True)
        self._pending = text, row

    def settle(self) -> tuple[str, bool] | None:
        """End what :meth:`put` began, once the device is done with it.

        Returns:
            The text, which can now be mixed, and whether its numbers are fit to use: else it stands for the empty text.

        Raises:
            GeneratorError: if the empty text itself is unfit.
        """
        if self._pending is None:
            return None
        (text, row), self._pending = self._pending, None
        found = self._found_here.double().numpy()
        fit = bool(np.isfinite(found[:, row]).all())
        if not fit:
            # One number that is none, and a picture that feeds on itself is lost for good.
            empty = self._row_of.get("")
            if empty is None:
                raise GeneratorError(
                    "the model's text encoder gives no numbers; try precision float32 or another model"
                )
            self.rows[row].copy_(self.rows[empty])
            found = self.products[:, empty].copy()
            found[:, row] = found[:, empty]
        # Rows never written are zero, and so are their products.
        self.products[:, row, :] = found
        self.products[:, :, row] = found
        self._row_of[text] = row
        return text, fit


class Mixture:
    """A changing mixture of texts, in a place that never changes.

    Attributes:
        state: the conditions, written in place; rungs copy from here.
        changed: whether the last :meth:`show` changed a number of it.
    """

    def __init__(self, bank: TextBank, number: int) -> None:
        self._bank = bank
        self._start = number
        self._sum = torch.zeros_like(bank.rows[0])
        self._totals = [self._sum[span] for span in bank.spans]
        self._coefficients: Coefficients = np.zeros(bank.products.shape[:2])
        tokens = bank.spans[1].stop
        self._tokens = self._sum[:tokens].view(bank.shape)
        self._pooled = self._sum[tokens:].view(1, -1)
        self.state = TextState(
            torch.zeros(bank.shape, dtype=bank.dtype, device=bank.rows.device),
            torch.zeros_like(self._pooled, dtype=bank.dtype) if len(bank.spans) > 2 else None,
            bank.size_ids,
        )
        self.changed = False
        self._shown: tuple[dict[int, float], float] | None = None

    @torch.inference_mode()
    def hold(self) -> None:
        """Make what is shown now the place from which :meth:`show` starts."""
        bank, start = self._bank, self._start
        for products, mix in zip(bank.products, self._coefficients, strict=True):
            with_all = products @ mix
            with_all[start] = mix @ with_all
            products[start, :] = with_all
            products[:, start] = with_all
        bank.rows[start].copy_(self._sum)
        self._coefficients[:] = 0.0
        self._coefficients[:, start] = 1.0
        self._shown = None

    def show(self, weights: dict[int, float], progress: float) -> None:
        """Show the mixture of rows by ``weights``, which sum to 1, or the way to it from what was held.

        Args:
            weights: of rows.
            progress: 0 is what was held, 1 is the mixture.
        """
        self.changed = False
        if (weights, progress) == self._shown:
            return
        self._shown = weights, progress
        aim = np.zeros(len(self._bank.rows))
        aim[list(weights)] = list(weights.values())
        coefficients = np.empty_like(self._coefficients)
        for number, products in enumerate(self._bank.products):
            coefficients[number] = self._way(products, aim, progress, arc=number > 0)
        self.changed = not np.array_equal(coefficients, self._coefficients)
        if self.changed:
            self._coefficients = coefficients
            self._write()

    def _way(self, products: npt.NDArray[np.float64], aim: Coefficients, progress: float, *, arc: bool) -> Coefficients:
        """Return one span's coefficients."""
        start = np.zeros_like(aim)
        start[self._start] = 1.0
        length = math.sqrt(max(0.0, products[self._start, self._start]))
        aim_length = 0.0
        if arc:
            aim, aim_length = _kept_length(products, aim)
        if progress >= 1.0:
            return aim
        if arc:
            return slerp(start, aim, length, aim_length, float(products[self._start] @ aim), progress)
        return (1.0 - progress) * start + progress * aim

    @torch.inference_mode()
    def _write(self) -> None:
        pieces = self._bank.pieces
        for number, (total, mix) in enumerate(zip(self._totals, self._coefficients, strict=True)):
            first, *others = mix.nonzero()[0].tolist()
            torch.mul(pieces[first][number], float(mix[first]), out=total)
            for row in others:
                total.add_(pieces[row][number], alpha=float(mix[row]))
        self.state.embeds.copy_(self._tokens)
        if self.state.pooled is not None:
            self.state.pooled.copy_(self._pooled)


def _kept_length(products: npt.NDArray[np.float64], weights: Coefficients) -> tuple[Coefficients, float]:
    """Return ``weights`` scaled so that their sum of rows is as long as the rows are on average, and that length.

    Different directions cancel each other in a plain average: half of each of two prompts would be a weak one.
    """
    rows = np.sqrt(np.maximum(0.0, np.diagonal(products)))
    wanted = float(weights @ rows)
    length = math.sqrt(max(0.0, float(weights @ products @ weights)))
    return (weights * (wanted / length) if length > 1e-6 * wanted else weights), wanted


def slerp(
    start: Coefficients, end: Coefficients, start_length: float, end_length: float, product: float, progress: float
) -> Coefficients:
    """Return the point ``progress`` of the way along the arc from ``start`` to ``end`` (Shoemake 1985), as a mixture.

    One angle serves the whole embedding: it is one point on one sphere, the arc between two is the shortest way at
    even speed, and the result is a combination of the two. An angle for every token would turn tokens that have nothing
    to do with each other at different speeds. Lengths go evenly from one to the other.

    Args:
        start, end: coefficients of the two ends.
        start_length, end_length: lengths of the two embeddings.
        product: inner product of the two embeddings.
        progress: 0-1.
    """
    both = start_length * end_length
    cosine = max(-1.0, min(1.0, product / both)) if both > 0.0 else 1.0
    angle = math.acos(cosine)
    if math.sin(angle) < NEARLY_PARALLEL:
        return (1.0 - progress) * start + progress * end
    length = (1.0 - progress) * start_length + progress * end_length
    from_start = math.sin((1.0 - progress) * angle) / math.sin(angle) * length / start_length
    from_end = math.sin(progress * angle) / math.sin(angle) * length / end_length
    return from_start * start + from_end * end
