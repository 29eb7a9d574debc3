"""Why something is not taken, in words for whoever sent it."""

from __future__ import annotations

TOO_MUCH, WRONG, NOT_NOW, GONE = 429, 422, 409, 404


class Refused(Exception):
    """A wish or vote that is not taken.

    Args:
        code: a short word for programs.
        words: for the guest: what is wrong, and what to do. Never repeats what was sent.
        status: of the HTTP answer.
        wait: s after which another try has a chance; 0 if waiting does not help.
    """

    def __init__(self, code: str, words: str, status: int = WRONG, wait: float = 0.0) -> None:
        super().__init__(words)
        self.code, self.words, self.status, self.wait = code, words, status, wait
