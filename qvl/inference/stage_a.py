"""Pictures to records: opened, asked about in batches, read, and written as they come."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

from PIL import Image

from qvl.conversation import Conversation, Fault, TextObject, build_messages, render_answer
from qvl.data import Contract
from qvl.errors import RecordError
from qvl.inference.engine import Answers, Completion
from qvl.inference.predictions import picture_rows, truth_rows
from qvl.inference.turns import Place, cut_turns, first_turn
from qvl.inference.units import Unit
from qvl.runtime.distributed import Rank, together
from qvl.runtime.images import leads_outside, open_image

__all__ = ["StageA", "tally"]

Row = dict[str, Any]
Turn = tuple[Place, ...]

_ALONE: Final = Rank()
_THREADS: Final = 4
"""Threads that open the pictures of the next batch while this one is answered."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture as it is shown, or why it cannot be."""

    image: Image.Image | None
    size: tuple[int, int] | None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class StageA:
    """Asks a model about pictures as it was trained to be asked.

    Attributes:
        units: What the records are about, see `find_units`.
        contract: What the model was trained with; its `mode` says whether answers are objects or a summary.
        engine: What answers.
        images_per_turn: Most pictures that are asked about at once.
        batch_size: Turns at a time.
    """

    units: Sequence[Unit]
    contract: Contract
    engine: Answers
    images_per_turn: int
    batch_size: int

    def records(self, *, start: int = 0, rank: Rank = _ALONE) -> Iterator[list[Row]]:
        """Yield the records that are finished after each batch, in the order of the units.

        A picture that cannot be opened or shown is a record with an `error`, and so is one in a group. The batches are
        cut as if `start` were 0 and there were one process, so that a second start, or several processes, give the same
        records. Of several processes each answers every so manieth batch, and all of them yield all records.

        Args:
            start: First unit whose record is wanted; those before it are there already.
            rank: Of this process among those that call this together.

        Raises:
            QvlError: The engine cannot answer, here or in another process.
        """
        turns = cut_turns(self.units, images_per_turn=self.images_per_turn)
        begin = first_turn(turns, start, batch_size=self.batch_size)
        batches = [turns[first : first + self.batch_size] for first in range(begin, len(turns), self.batch_size)]
        batches += [[]] * (-len(batches) % rank.world_size)
        pending: dict[int, list[Row]] = {}
        for batch, shown in self._opened(batches[rank.rank :: rank.world_size]):
            for place, row in chain.from_iterable(together(partial(self._answered, batch, shown))):
                pending.setdefault(place.unit, []).append(row)
            complete = [unit for unit, rows in pending.items() if len(rows) == len(self.units[unit].pictures)]
            yield [self._record(unit, pending[unit]) for unit in complete if unit >= start]
            for unit in complete:
                del pending[unit]

    def _opened(self, batches: Iterable[Sequence[Turn]]) -> Iterator[tuple[Sequence[Turn], list[list[_Shown]]]]:
        """Yield batches with their pictures; those of the next batch are opened meanwhile."""
        with ThreadPoolExecutor(_THREADS) as pool:
            waiting: deque[tuple[Sequence[Turn], list[list[Future[_Shown]]]]] = deque()
            for batch in batches:
                waiting.append((batch, [[pool.submit(self._show, place) for place in turn] for turn in batch]))
                if len(waiting) > 1:
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())

    def _show(self, place: Place) -> _Shown:
        unit = self.units[place.unit]
        path = unit.pictures[place.picture]
        if error := leads_outside(path, unit.roots):
            return _Shown(None, None, error)
        try:
            image = open_image(path)
        except RecordError as fault:
            return _Shown(None, None, str(fault))
        return _Shown(image, image.size, self._unfit(unit, image))

    def _unfit(self, unit: Unit, image: Image.Image) -> str:
        """Return why a picture cannot be asked about, "" if it can."""
        truth = unit.truth
        if truth is not None and image.size != (truth.width, truth.height):
            return f"the row says {truth.width}x{truth.height}, the picture is {image.width}x{image.height}"
        try:
            self.contract.form.model_size(*image.size)
        except ValueError as error:
            return str(error)
        return ""

    def _answered(self, batch: Sequence[Turn], shown: Sequence[Sequence[_Shown]]) -> list[tuple[Place, Row]]:
        """Return a row a picture; all turns of a batch are answered at once, pictures that cannot be shown left out."""
        asked = [[item for item in turn if not item.error] for turn in shown]
        answers = iter(self.engine.answers([self._conversation(turn) for turn in asked if turn]))
        rows = []
        for turn, items, fit in zip(batch, shown, asked, strict=True):
            read = iter(self._read(next(answers), fit) if fit else ())
            for place, item in zip(turn, items, strict=True):
                found = _error_row(item.error, self.contract.mode) if item.error else next(read)
                rows.append((place, {**self._head(place, item), **found}))
        return rows

    def _conversation(self, items: Sequence[_Shown]) -> Conversation:
        messages = build_messages(
            [item.image for item in items],
            system=self.contract.system,
            user=self.contract.user,
            answer=None,
            image_label=self.contract.image_label,
        )
        return {
            "messages": messages,
            "images": [item.image for item in items],
            "objects": {"ref": [], "bbox": [], "image_id": [], "bbox_type": "real"},
        }

    def _read(self, completion: Completion, items: Sequence[_Shown]) -> list[Row]:
        sizes = [item.size for item in items if item.size is not None]
        return picture_rows(completion, sizes, mode=self.contract.mode, form=self.contract.form)

    def _head(self, place: Place, item: _Shown) -> Row:
        unit = self.units[place.unit]
        width, height = item.size or (None, None)
        head: Row = {"source": unit.source, "image": unit.pictures[place.picture], "width": width, "height": height}
        if self.contract.mode == "summary":
            return head if unit.summary is None else {**head, "truth": unit.summary}
        if unit.truth is None:
            return head
        annotated = {"width": unit.truth.width, "height": unit.truth.height}  # also of a picture that cannot be read
        return {**head, **annotated, "truth": truth_rows(unit.truth, self.contract.form)}

    def _record(self, number: int, rows: Sequence[Row]) -> Row:
        """Return the record of a unit: that of its picture, or one for a group with those of its pictures in it."""
        unit = self.units[number]
        if not unit.grouped:
            return rows[0]
        failed = [slot for slot, row in enumerate(rows, 1) if row["error"] is not None]
        texts = {f"image_{slot}": _text(row) for slot, row in enumerate(rows, 1) if slot not in failed}
        return {
            "source": unit.source,
            **unit.labels,
            "images": [os.path.basename(path) for path in unit.pictures],
            "per_image": texts,
            "pictures": [{key: value for key, value in row.items() if key != "source"} for row in rows],
            "error": f"{len(failed)} of {len(rows)} pictures could not be answered" if failed else None,
        }


def _finished(
    batch: Sequence[Turn], futures: Sequence[Sequence[Future[_Shown]]]
) -> tuple[Sequence[Turn], list[list[_Shown]]]:
    return batch, [[future.result() for future in turn] for turn in futures]


def tally(records: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Count `records`, `pictures`, pictures with `errors`, those with `faults` in an answer, and answers `cut_off`."""
    rows = [row for record in records for row in record.get("pictures", [record])]
    return Counter(
        records=len(records),
        pictures=len(rows),
        errors=sum(row["error"] is not None for row in rows),
        faults=sum(row["error"] is None and bool(row["faults"]) for row in rows),
        cut_off=sum(row["finish_reason"] == "length" for row in rows),
    )


def _error_row(error: str, mode: str) -> Row:
    return {
        "predicted": "" if mode == "summary" else [],
        "faults": [asdict(Fault("not_answered", "picture", error))],
        "completion": "",
        "finish_reason": "error",
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "error": error,
    }


def _text(row: Mapping[str, Any]) -> str:
    """Return what is said of one picture of a group, as text on one line."""
    if isinstance(row["predicted"], str):
        return row["predicted"]
    items = [TextObject(item["desc"], item["key"], tuple(item["numbers"])) for item in row["predicted"]]
    return render_answer([items], image_label="image")
