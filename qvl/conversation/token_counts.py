"""Numbers of tokens of texts that are mostly the same: answers differ in their digits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["TokenCounter"]

_PIECES = re.compile(r"[0-9]+|[^0-9]+")
_PROBES: Final = ('{"object_1": {"desc": "a=b7c, 12", "bbox_2d": [0, 10, 999, 1000]}}', "x1y22 (333)-4.5", "第3个")
_MOST: Final = 100_000
"""Pieces that are remembered."""

_DEPENDS: Final = 10**12
"""More tokens than any text has."""


class TokenCounter:
    """Counts the tokens of a text as its tokenizer does.

    Qwen's tokenizer never joins a digit with what stands beside it, so a text can be cut there, and most pieces have
    been counted before. A tokenizer that does otherwise is asked for the whole text.
    """

    def __init__(self, tokenizer: Any) -> None:
        """Try the tokenizer on a few texts.

        Args:
            tokenizer: A tokenizer of transformers.
        """
        self._tokenizer = tokenizer
        self._known = _Known(self._whole)
        self._cuts_at_digits = all(self._pieces(text) == self._whole(text) for text in _PROBES)

    def __call__(self, text: str) -> int:
        """Return the number of tokens of a text that stands alone in its turn."""
        count = self._pieces(text) if self._cuts_at_digits else None
        return self._whole(text) if count is None else count

    def _whole(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def _pieces(self, text: str) -> int | None:
        """Return the sum over the pieces, None if one of them depends on what follows."""
        total = sum(map(self._known.__getitem__, _PIECES.findall(text)))
        return total if total < _DEPENDS else None


class _Known(dict[str, int]):
    """Tokens of every piece that was met; `_DEPENDS` for one that cannot be counted alone."""

    def __init__(self, count: Callable[[str], int]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, piece: str) -> int:
        if len(self) >= _MOST:
            self.clear()
        depends = piece[-2:].isspace() and len(piece) > 1  # of several blanks the last one goes with what follows
        count = self[piece] = _DEPENDS if depends else self._count(piece)
        return count
