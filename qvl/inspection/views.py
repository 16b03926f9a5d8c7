"""Rows of a data set as cards: as they are annotated, as training augments them, and as the model sees them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from qvl.conversation import TextObject
from qvl.data import SourcePart, Ticket, Turn, TurnDataset
from qvl.errors import ConfigError, HealthError, RecordError
from qvl.geometry import Shape
from qvl.records import ObjectRecord, Record, category
from qvl.runtime import open_image
from qvl.visualization import Card, Item, Layout, Palette, Panel, list_numbers, shorten_label

__all__ = ["VIEWS", "Pick", "RowViews", "SeenPicture", "SeenTurn", "pick_rows", "row_layout"]

Fault: TypeAlias = tuple[str, str, str]

VIEWS: Final = ("original", "augmented", "model")
"""Names of what can be shown of a row."""


class Pick(NamedTuple):
    """One row to show.

    Attributes:
        part: Number of its source.
        row: Its position among the rows in use of that source.
    """

    part: int
    row: int


@dataclass(frozen=True, slots=True, eq=False)
class SeenPicture:
    """A picture as a model is given it.

    Attributes:
        image: RGB, of the size that the model sees.
        extent: (width, height) of the picture in the units of the numbers of its objects.
        objects: What the answer says of it.
        num_tokens: Tokens of the picture.
    """

    image: Image.Image
    extent: tuple[float, float]
    objects: tuple[TextObject, ...]
    num_tokens: int


@dataclass(frozen=True, slots=True, eq=False)
class SeenTurn:
    """A user turn as a model is given it.

    Attributes:
        answer: The text that is trained on, without its end of turn.
        num_tokens: Tokens of the whole turn.
        num_answer_tokens: Those that are trained on.
        pictures: One a record; none for chat.
    """

    answer: str
    num_tokens: int
    num_answer_tokens: int
    pictures: tuple[SeenPicture, ...]


def pick_rows(dataset: TurnDataset, *, lines: Sequence[int] | None, most: int, seed: int) -> list[Pick]:
    """Choose rows to show, in the order of the sources and their files.

    Args:
        dataset: Where to choose from.
        lines: Line numbers, from 1, in the file of every source; None for a random choice.
        most: Most rows of a random choice.
        seed: Of the random choice.

    Raises:
        ConfigError: No file has a row in use at one of the lines.
    """
    if lines is None:
        ends = np.cumsum([len(part.rows) for part in dataset.parts])
        chosen = np.random.default_rng(seed).choice(int(ends[-1]), min(most, int(ends[-1])), replace=False)
        owners = np.searchsorted(ends, chosen := np.sort(chosen), side="right")
        starts = np.concatenate([[0], ends])
        return [Pick(int(owner), int(row - starts[owner])) for owner, row in zip(owners, chosen, strict=True)]
    found = [(_at_line(part, line), number, line) for number, part in enumerate(dataset.parts) for line in lines]
    if missing := sorted(set(lines) - {line for row, _, line in found if row is not None}):
        files = ", ".join(part.rows.path for part in dataset.parts)
        raise ConfigError(f"rows: there is no row in use at line {', '.join(map(str, missing))} of {files}")
    return [Pick(number, row) for row, number, _ in found if row is not None]


def _at_line(part: SourcePart, line: int) -> int | None:
    """Return the position of the row of a line, by halving: lines grow with the rows."""
    low, high = 0, len(part.rows)
    while low < high:
        middle = (low + high) // 2
        here = part.rows.lines.source(part.rows.number(middle)).line
        if here == line:
            return middle
        low, high = (middle + 1, high) if here < line else (low, middle)
    return None


def row_layout(*, title: str) -> Layout:
    """Return what a gallery of rows has besides its cards."""
    return Layout(
        title,
        item_facets=("category", "shape"),
        card_facets=("source", "finding"),
        orders=("objects",),
        legend="category",
    )


class RowViews:
    """Makes cards of rows.

    Attributes:
        dataset: What the rows are of.
        views: Some of `VIEWS`, in the order in which they are shown.
        draws: How many augmented forms of a row are shown: those that it has in the first epochs of a training with the
            same seed and settings, pixel by pixel.
    """

    def __init__(
        self,
        dataset: TurnDataset,
        *,
        views: Sequence[str] = ("original",),
        draws: int = 4,
        progress: float | None = None,
        model_view: Callable[[Turn], SeenTurn] | None = None,
    ) -> None:
        """Choose what to show.

        Args:
            dataset: Rows, checked or not; what cannot be used is told on its card.
            views: Some of `VIEWS`.
            draws: Augmented forms of a row, >= 1.
            progress: Share of the training that is done, 0 to 1, for a curriculum; None lets it grow from draw to draw,
                as in a training of so many epochs.
            model_view: Encodes a turn and reads it back; needed for the view `model`.

        Raises:
            ConfigError: A view is unknown, or there is none.
        """
        if unknown := [view for view in views if view not in VIEWS] or (["nothing"] if not views else []):
            raise ConfigError(f"views: {', '.join(unknown)}: choose from {', '.join(VIEWS)}")
        self.dataset = dataset
        self.views = tuple(dict.fromkeys(views))
        self.draws = draws
        self._progress = progress
        self._model_view = model_view
        self._palette = Palette()

    def cards(self, picks: Sequence[Pick]) -> Iterator[Card]:
        """Yield a card of each row; a row that cannot be used says why."""
        for pick in picks:
            yield self._card(pick, self.dataset.parts[pick.part])

    def _card(self, pick: Pick, part: SourcePart) -> Card:
        number = part.rows.number(pick.row)
        line = part.rows.lines.source(number).line
        record, faults, views = self._look(part, number)
        panels, texts = self._views(views, pick, part, record, faults) if record else ([], [])
        size = f", {record.width} x {record.height} pixels" if record and record.images else ""
        return Card(
            heading=f"{part.name}, line {line}" if len(self.dataset.parts) > 1 else f"line {line}",
            name=PurePath(record.images[0]).name if record and record.images else "",
            origin=f"{part.rows.lines.source(number)}{size}",
            panels=panels,
            faults=faults,
            texts=texts,
            facets={"source": [part.name], "finding": sorted({code for code, _, _ in faults}) or ["none"]},
            orders={"objects": len(record.objects) if record else 0},
        )

    def _look(self, part: SourcePart, number: int) -> tuple[Record | None, list[Fault], Sequence[str]]:
        """Return a row as a record, what is wrong with it and its picture, and how it can be shown."""
        looked = part.rows.look(number)
        found = [*looked.findings, *(part.rows.check_pictures(looked.record, "header") if looked.record else ())]
        faults = [(finding.code, finding.field, finding.message) for finding in found]
        if looked.removed:
            faults.append(("removed", "row", f"{type(part.source.preprocessor).__name__} leaves it out"))
        fatal = {finding.code for finding in found if finding.fatal}
        by_eye = [view for view in self.views if view == "original" and fatal <= {"size_mismatch"}]
        return looked.record, faults, by_eye if fatal else self.views

    def _views(
        self, views: Sequence[str], pick: Pick, part: SourcePart, record: Record, faults: list[Fault]
    ) -> tuple[list[Panel], list[tuple[str, str]]]:
        """Return panels and longer texts; what fails on the way is added to the faults."""
        panels: list[Panel] = []
        texts = [("summary", record.summary)] if record.summary else []
        if record.metadata:
            texts.append(("metadata", json.dumps(record.metadata, ensure_ascii=False, indent=2)))
        for view in views:
            try:
                more, told = self._view(view, pick, part, record)
            except (HealthError, RecordError, ValueError) as error:
                faults.append((type(error).__name__, view, str(error)))
            else:
                panels += more
                texts += told
        return panels, texts

    def _view(
        self, view: str, pick: Pick, part: SourcePart, record: Record
    ) -> tuple[list[Panel], list[tuple[str, str]]]:
        if view == "model" and self._model_view is not None:
            seen = self._model_view(part.turn(self._ticket(pick, augment=False)))
            title = f"the answer that is trained on: {seen.num_answer_tokens} of {seen.num_tokens} tokens"
            return [self._seen(picture) for picture in seen.pictures], [(title, seen.answer)]
        if view == "original" and record.images:
            return [self._original(record)], []
        if view == "augmented" and record.images:
            return [self._draw(pick, part, record, draw) for draw in range(self.draws)], []
        return [], []

    def _ticket(self, pick: Pick, *, augment: bool, draw: int = 0) -> Ticket:
        progress = draw / self.draws if self._progress is None else self._progress
        return Ticket(epoch=draw, source=pick.part, rows=(pick.row,), copies=(0,), progress=progress, augment=augment)

    def _original(self, record: Record) -> Panel:
        items = [self._item(item.desc, item.shape, _written(item)) for item in record.objects]
        remark = f"{len(items)} object{'' if len(items) == 1 else 's'}"
        image = open_image(record.images[0])  # its size is that of the row, unless a finding says so
        return Panel("Original", remark, image, image.size, items, folded=len(self.views) > 1)

    def _draw(self, pick: Pick, part: SourcePart, record: Record, draw: int) -> Panel:
        """Return what training shows in an epoch: the same call, with the ticket of that epoch."""
        ticket = self._ticket(pick, augment=True, draw=draw)
        turn = part.turn(ticket)
        shown, picture, changed = turn.records[0], turn.pictures[0], part.samples(ticket)[0].changed
        items = [self._item(item.desc, item.shape, _written(item)) for item in shown.objects]
        lost = len(record.objects) - len(items)
        remark = f"{picture.width} x {picture.height}" if changed else "left as it is"
        remark += f", without {lost} of {len(record.objects)} objects" if lost else ""
        extent = (shown.width, shown.height)
        return Panel(f"Epoch {draw + 1}", remark, picture, extent, items, folded=True, exact=changed)

    def _seen(self, picture: SeenPicture) -> Panel:
        items = [
            self._item(item.desc, _possible(item), list_numbers(item.key, item.numbers)) for item in picture.objects
        ]
        remark = f"{picture.image.width} x {picture.image.height}, {picture.num_tokens} tokens"
        return Panel("Model", remark, picture.image, picture.extent, items, folded=True, exact=True)

    def _item(self, desc: str, shape: Shape | None, numbers: str) -> Item:
        name = category(desc)
        return Item(
            desc=desc,
            name=shorten_label(name),
            color=self._palette.color(name),
            shape=shape,
            stress="" if shape is not None else "no possible shape on the grid",
            numbers=numbers,
            facets={"category": name, "shape": numbers.partition(" ")[0]},
        )


def _written(item: ObjectRecord) -> str:
    return list_numbers(item.shape.key, item.shape.flat())


def _possible(item: TextObject) -> Shape | None:
    try:
        return item.shape()
    except ValueError:  # a small box may lie in one cell of the grid
        return None
