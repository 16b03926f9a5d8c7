"""From a source to the folder of a data set."""

from __future__ import annotations

import os
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.archives import is_archive, unpack
from qvl.conversion.duplicates import across, near_duplicates
from qvl.conversion.finder import Found, PictureFinder
from qvl.conversion.outcome import Outcome
from qvl.conversion.output import RowSink, write_splits
from qvl.conversion.pictures import PictureStore
from qvl.conversion.report import Report
from qvl.conversion.rows import RowMaker, RowSettings, refuse_picture
from qvl.conversion.source import BaseSource
from qvl.conversion.splits import SplitSettings, assign_splits, group_key
from qvl.errors import ConfigError, QvlError, RecordError
from qvl.runtime import discard, replace_folder, write_json

__all__ = ["ConversionSettings", "Converted", "convert"]

REPORT = "report.json"
_MOST_EXAMPLES = 100
_THREADS = min(8, 2 * (os.cpu_count() or 1))
_AHEAD = 16 * _THREADS
"""Pictures that are worked on or wait for those before them: a source of any size takes little memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionSettings:
    """How a source is converted.

    Attributes:
        rows: How rows are made.
        pictures: link, copy or reference, see `PictureStore`.
        max_pixels: Pictures are made smaller to at most this area; None leaves them as they are.
        min_pixels: Least area, if they are resized.
        side_factor: Both sides become multiples of it, if they are resized.
        split: Which rows are for what.
        tiny: Rows in the tiny file of each split.
        distance: Bits in which pictures that look the same may differ; None does not look for them.
    """

    rows: RowSettings
    pictures: Literal["link", "copy", "reference"] = "link"
    max_pixels: int | None = None
    min_pixels: int = 1
    side_factor: int = 32
    split: SplitSettings = field(default_factory=SplitSettings)
    tiny: Mapping[str, int] = field(default_factory=lambda: {"train": 20, "val": 8})
    distance: int | None = 3


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written.

    Attributes:
        report: What became of everything.
        roots: Folders of pictures that stay where they are: `data.allowed_roots` has to hold them.
    """

    report: Report
    roots: tuple[Path, ...]


def convert(
    source: BaseSource,
    out: Path,
    settings: ConversionSettings,
    *,
    overwrite: bool = False,
    advance: Callable[[int | None], None] = lambda total: None,
) -> Converted:
    """Write a source as a data set: the whole folder appears at the end, or nothing does.

    Args:
        source: Any importer.
        out: Folder to write.
        settings: What is wanted.
        overwrite: Whether an older result there is replaced.
        advance: Called after each picture with the number of all, None while that is not known.

    Raises:
        ConfigError: `out` is there already, or cannot be there.
        RecordError: The source cannot be read, or no row can be made of it.
        QvlError: A file cannot be written.
    """
    _check_out(source, out, settings, overwrite=overwrite)
    token = secrets.token_hex(4)
    staging, unpacked = (out.with_name(f".{out.name}.{token}.{name}") for name in ("tmp", "unpacked"))
    try:
        with ExitStack() as stack:
            stack.callback(discard, unpacked)
            stack.callback(discard, staging)
            staging.mkdir()
            is_packed = is_archive(source.path)
            refused = (
                [replace(each, kind="archive_member") for each in unpack(source.path, unpacked)] if is_packed else []
            )
            run = _Run(source.at(unpacked) if is_packed else source, staging, settings)
            run.read(refused, advance)
            run.write(_describe(source))
            replace_folder(staging, out)
            return Converted(run.report, tuple(run.store.roots))
    except OSError as error:
        raise QvlError(f"{error.filename or out}: {error.strerror or error}") from error


class _Run:
    """One conversion on its way."""

    def __init__(self, source: BaseSource, folder: Path, settings: ConversionSettings) -> None:
        self.report = Report()
        self.store = _store(folder, settings)
        self._source = source
        self._settings = settings
        self._sink = RowSink(folder)
        self._maker = RowMaker(settings.rows, self.store, source_format=_format_name(source))

    def read(self, refused: Iterable[Refused], advance: Callable[[int | None], None]) -> None:
        """Make rows of all pictures, several at a time, and keep their order; `refused` was so before."""
        total: int | None = None
        with ThreadPoolExecutor(_THREADS) as pool, self._sink:
            try:
                for outcome, key in self._outcomes(pool, refused):
                    self.report.add(outcome)
                    self._sink.take(outcome, key)
                    if outcome.num_rows:
                        total = self._source.size_hint() if total is None else total
                        advance(total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _outcomes(self, pool: ThreadPoolExecutor, refused: Iterable[Refused]) -> Iterator[tuple[Outcome, str]]:
        finder: PictureFinder | None = None
        waiting: deque[tuple[Future[Outcome] | Outcome, str]] = deque()
        seen: set[int] = set()
        for entry in chain(refused, self._source.read()):
            if isinstance(entry, Refused):
                waiting.append((_noted(entry), ""))
            else:
                finder = finder or PictureFinder(self._source.images)
                waiting.append(self._start(pool, finder, entry, seen))
            if len(waiting) > _AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())

    def _start(
        self, pool: ThreadPoolExecutor, finder: PictureFinder, annotated: Annotated, seen: set[int]
    ) -> tuple[Future[Outcome] | Outcome, str]:
        """Find the picture and begin with its row; names are given here, in the order of the source."""
        found = finder.find(annotated.image)
        if not isinstance(found, Found):
            return refuse_picture(annotated, Refused(annotated.where, *found, came=annotated.image)), ""
        try:
            key = group_key(found.name, self._settings.split.by, said=annotated.split)
        except RecordError as error:
            return refuse_picture(annotated, Refused(annotated.where, "no_group", str(error))), ""
        identity = hash(str(found.path))
        self.report.again += identity in seen
        seen.add(identity)
        name = self.store.claim(found.path, found.name)
        return pool.submit(self._maker.make, annotated, found, name), key

    def write(self, origin: Mapping[str, str]) -> None:
        """Split the rows and write all files; `origin` says what was converted."""
        report, settings = self.report, self._settings
        if not report.rows_out:
            raise RecordError(_nothing_left(report))
        splits = assign_splits(self._sink.keys, settings.split)
        pairs: list[tuple[int, int]] = []
        if settings.distance is not None:
            found = near_duplicates(self._sink.hashes, distance=settings.distance)
            pairs = across(found, splits)
            report.near_duplicates, report.across = len(found), len(pairs)
        shown = pairs[:_MOST_EXAMPLES]
        wanted = frozenset(number for pair in shown for number in pair)
        report.splits, pictures = write_splits(self._sink, splits, tiny=settings.tiny, wanted=wanted)
        report.across_examples = [(pictures[a], pictures[b], splits[a], splits[b]) for a, b in shown]
        words = settings.rows.objects
        report.unused = sorted((words.drop | words.labels.keys()) - report.labels.keys())
        report.check()
        write_json(self._sink.folder / REPORT, {"source": origin, **report.as_json()})
        labels = {
            name: {"written": None if name in words.drop else words.labels.get(name, name), **_out_and_dropped(counts)}
            for name, counts in sorted(report.labels.items())
        }
        write_json(self._sink.folder / "labels.json", labels)


def _out_and_dropped(counts: Mapping[str, int]) -> dict[str, int]:
    return {"out": counts.get("out", 0), "dropped": counts.get("dropped", 0)}


def _store(folder: Path, settings: ConversionSettings) -> PictureStore:
    try:
        return PictureStore(
            folder,
            mode=settings.pictures,
            max_pixels=settings.max_pixels,
            min_pixels=settings.min_pixels,
            side_factor=settings.side_factor,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _noted(refused: Refused) -> Outcome:
    """Return the outcome of something that could not be read and is not part of a picture."""
    outcome = Outcome(num_rows=int(refused.kind in ("", "row")), num_objects=int(refused.kind == "object"))
    outcome.reject("row", "", refused)
    return outcome


def _finished(outcome: Future[Outcome] | Outcome, key: str) -> tuple[Outcome, str]:
    return (outcome.result() if isinstance(outcome, Future) else outcome), key


def _check_out(source: BaseSource, out: Path, settings: ConversionSettings, *, overwrite: bool) -> None:
    final, given = (Path(os.path.abspath(path)) for path in (out, source.path))
    if not final.parent.is_dir():
        raise ConfigError(f"out: {out}: there is no folder {out.parent}")
    if settings.pictures == "reference" and is_archive(source.path):
        raise ConfigError("pictures: reference leaves pictures in an archive; choose link or copy")
    inputs = [given, Path(os.path.abspath(source.images))]
    if any(path == final or path.is_relative_to(final) for path in inputs):
        raise ConfigError(f"out: {out} holds the source itself; choose another folder")
    if given.is_dir() and final.is_relative_to(given):
        raise ConfigError(
            f"out: {out} lies inside source.path, where annotations are looked for; choose another folder"
        )
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise ConfigError(f"out: {out} is there already; choose another folder, or add overwrite=true")
    is_ours = out.is_dir() and ((out / REPORT).is_file() or not any(out.iterdir()))
    if not is_ours or out.is_symlink():
        raise ConfigError(f"out: {out} is no folder that this command has written, so it is not overwritten")


def _format_name(source: BaseSource) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(source).__name__.removesuffix("Source")).lower()


def _describe(source: BaseSource) -> dict[str, str]:
    return {"format": _format_name(source), "path": str(source.path), "images": str(source.images)}


def _nothing_left(report: Report) -> str:
    if not report.rows_in:
        return "the source has no picture"
    codes = report.rows_refused.most_common(10)
    lines = [f"{code} ({count}), such as {report.examples[code]}" for code, count in codes]
    return "\n".join([f"none of the {report.rows_in} pictures can be used", *lines])
