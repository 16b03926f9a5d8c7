"""A folder of pictures that nobody annotated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.files import Unreadable
from qvl.conversion.finder import SUFFIXES
from qvl.conversion.formats.fields import split_name
from qvl.conversion.source import BaseSource

__all__ = ["FolderSource"]


class FolderSource(BaseSource):
    """Pictures without objects, all with one summary: a pool of irrelevant pictures, for example."""

    suffixes = SUFFIXES
    _total: int | None = None

    def __init__(self, *, path: str, summary: str) -> None:
        """Say where the pictures lie.

        Args:
            path: A folder of pictures, one picture, or an archive of a folder.
            summary: What is to be answered for each of them; one line.

        Raises:
            ValueError: The summary is blank or has several lines.
        """
        super().__init__(path=path)
        if not summary.strip() or len(summary.splitlines()) > 1:
            raise ValueError(f"summary must be one line of text, got {summary!r}")
        self.summary = summary

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture, sorted by path; a folder called train, val or test says the split."""
        files = self.files()
        self._total = len(files)
        for file in files:
            if isinstance(file, Unreadable):
                yield Refused(self.place(file.path), file.code, file.message)
                continue
            name = file.relative_to(self.images)
            yield Annotated(
                image=name.as_posix(), where=self.place(file), objects=(), split=_split(name), summary=self.summary
            )

    def size_hint(self) -> int | None:
        """Return the number of pictures once `read` has begun."""
        return self._total


def _split(name: Path) -> str | None:
    """Return what the innermost folder that names a split says."""
    return next((split for folder in reversed(name.parts[:-1]) if (split := split_name(folder))), None)
