"""The base of importers whose files hold one JSON object a line."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.files import Unreadable, read_json
from qvl.conversion.formats.fields import split_name
from qvl.conversion.source import BaseSource
from qvl.records import Finding, Source, decode_line

__all__ = ["JsonlSource"]

BLOCK = 1 << 20


class JsonlSource(BaseSource):
    """Rows of JSONL files, or of JSON files that hold a list of rows.

    The split is said by the name of the file or of its folder: `train.jsonl`, `valid/annotations.jsonl`.
    """

    suffixes = (".jsonl", ".json")
    _total: int | None = None

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture of every row, in the order of the files."""
        files = self.files()
        self._total = _count_rows(files)
        for file in files:
            if isinstance(file, Unreadable):
                yield Refused(self.place(file.path), file.code, file.message)
                continue
            for where, value in self._rows(file):
                if isinstance(value, Refused):
                    yield value
                elif isinstance(value, dict):
                    yield from self.pictures(value, file=file, where=where)
                else:
                    yield Refused(where, "not_an_object", "a row is a JSON object", value)

    def size_hint(self) -> int | None:
        """Return the number of lines of all files once `read` has begun; None if one of them is no JSONL file."""
        return self._total

    @abstractmethod
    def pictures(self, row: Mapping[str, object], *, file: Path, where: str) -> Iterator[Annotated | Refused]:
        """Yield every picture of one row.

        Args:
            row: The JSON object.
            file: Where it stands.
            where: Its place, for messages.
        """

    def split(self, file: Path) -> str | None:
        """Return the split that the name of a file or of its folder says."""
        return split_name(file.stem) or (split_name(file.parent.name) if file.parent != self.path else None)

    def _rows(self, file: Path) -> Iterator[tuple[str, object]]:
        """Yield the place of every row with its value, or with why it cannot be read."""
        if file.suffix.lower() != ".json":
            yield from self._lines(file)
            return
        content = read_json(file)
        if isinstance(content, Unreadable):
            yield "", Refused(self.place(file), content.code, content.message)
            return
        for index, value in enumerate(content if isinstance(content, list) else [content]):
            yield self.place(file, f"[{index}]" if isinstance(content, list) else ""), value

    def _lines(self, file: Path) -> Iterator[tuple[str, object]]:
        try:
            with file.open("rb") as lines:
                for number, data in enumerate(lines, start=1):
                    text = data.removeprefix(b"\xef\xbb\xbf") if number == 1 else data
                    if text.strip():
                        yield self._line(text, Source(self.place(file), number))
        except OSError as error:
            yield "", Refused(self.place(file), "file_unreadable", str(error.strerror))

    def _line(self, data: bytes, source: Source) -> tuple[str, object]:
        value, findings = decode_line(data, source=source)
        return str(source), _refused(findings[0]) if findings else value


def _refused(finding: Finding) -> Refused:
    message = f"{finding.field}: {finding.message}" if finding.field else finding.message
    return Refused(str(finding.where), finding.code, message)


def _count_rows(files: Sequence[Path | Unreadable]) -> int | None:
    found = [file for file in files if isinstance(file, Path)]
    lists = any(file.suffix.lower() == ".json" for file in found)
    return None if lists else sum(map(_count_lines, found))


def _count_lines(file: Path) -> int:
    try:
        with file.open("rb") as lines:
            return sum(block.count(b"\n") for block in iter(lambda: lines.read(BLOCK), b""))
    except OSError:
        return 0
