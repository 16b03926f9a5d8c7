"""What may be done to a row before it is checked and becomes a record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

__all__ = ["BasePreprocessor", "KeepAll"]


class BasePreprocessor(ABC):
    """Changes or removes rows of a JSONL file; subclass it for your own rules."""

    @abstractmethod
    def preprocess(self, row: Mapping[str, object]) -> Mapping[str, object] | None:
        """Return the row to use, or None to leave it out; what is left out is listed in the run's ledger.

        Args:
            row: One line of the file, not to be changed in place.
        """


class KeepAll(BasePreprocessor):
    """Uses every row as it is."""

    def preprocess(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """Return the row itself."""
        return row
