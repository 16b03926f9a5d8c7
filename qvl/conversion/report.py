"""What a conversion did, in numbers that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qvl.conversion.outcome import Outcome

__all__ = ["Report"]


@dataclass(slots=True)
class Report:
    """Counts of a conversion: what comes in goes out, is left out on request, or is refused with a reason.

    Attributes:
        rows_in: Pictures of the source.
        rows_out: Rows that were written.
        rows_refused: Pictures without a row, by code.
        objects_in: Objects of the source.
        objects_added: Further objects, of those that were split.
        objects_out: Objects in the rows.
        objects_dropped: Objects that were left out on request, by reason.
        objects_refused: Objects that are in no row, by code; `row_refused` are sound ones of a refused row.
        others_refused: Members of archives and the like, by code.
        repairs: What was set right in the rows, by code.
        shapes: Objects in the rows by the key of their shape.
        labels: Per category of the source, how many objects are `out` and how many `dropped`.
        splits: Per split, its `rows` and `objects`.
        examples: First place and message of each code that was refused.
        unused: Words of `labels` and `drop` that no object has.
        again: Rows whose picture another row has too.
        near_duplicates: Pairs of pictures that look the same; None if nobody looked.
        across: Those of which one is in another split than the other.
        across_examples: The first of them, as (picture, picture, split, split).
    """

    rows_in: int = 0
    rows_out: int = 0
    rows_refused: Counter[str] = field(default_factory=Counter)
    objects_in: int = 0
    objects_added: int = 0
    objects_out: int = 0
    objects_dropped: Counter[str] = field(default_factory=Counter)
    objects_refused: Counter[str] = field(default_factory=Counter)
    others_refused: Counter[str] = field(default_factory=Counter)
    repairs: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    splits: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    again: int = 0
    near_duplicates: int | None = None
    across: int = 0
    across_examples: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count what became of one picture."""
        self.rows_in += outcome.num_rows
        self.objects_in += outcome.num_objects
        self.objects_added += outcome.num_added
        self.objects_dropped += outcome.dropped
        self.objects_refused += outcome.lost
        self.repairs += outcome.repairs
        for rejected in outcome.rejected:
            self.examples.setdefault(rejected.refused.code, f"{rejected.refused.where}: {rejected.refused.message}")
            if rejected.kind == "row":
                self.rows_refused[rejected.refused.code] += 1
            elif rejected.kind != "object":
                self.others_refused[rejected.refused.code] += 1
        for label in outcome.dropped_labels:
            self.labels.setdefault(label, Counter())["dropped"] += 1
        if outcome.row is not None:
            self._add_row(outcome.row["objects"], outcome.labels)

    def _add_row(self, objects: Sequence[Mapping[str, object]], labels: Sequence[str]) -> None:
        self.rows_out += 1
        self.objects_out += len(objects)
        self.shapes.update(key for item in objects for key in item if key != "desc")
        for label in labels:
            self.labels.setdefault(label, Counter())["out"] += 1

    def check(self) -> None:
        """Assert that nothing is lost without a count."""
        assert self.rows_in == self.rows_out + self.rows_refused.total(), "rows do not add up"
        left = self.objects_out + self.objects_dropped.total() + self.objects_refused.total()
        assert self.objects_in + self.objects_added == left, "objects do not add up"
        if self.splits:
            assert self.rows_out == sum(split["rows"] for split in self.splits.values()), "splits do not add up"

    def as_json(self) -> dict[str, object]:
        """Return the counts for `report.json`, the most frequent codes first."""
        duplicates = None
        if self.near_duplicates is not None:
            duplicates = {
                "pairs": self.near_duplicates,
                "across_splits": self.across,
                "examples": [list(pair) for pair in self.across_examples],
            }
        return {
            "rows": {"in": self.rows_in, "out": self.rows_out, "refused": self.rows_refused.total()},
            "objects": {
                "in": self.objects_in,
                "added": self.objects_added,
                "out": self.objects_out,
                "dropped": self.objects_dropped.total(),
                "refused": self.objects_refused.total(),
            },
            "splits": {name: dict(counts) for name, counts in self.splits.items()},
            "shapes": _sorted(self.shapes),
            "rows_refused": _sorted(self.rows_refused),
            "objects_refused": _sorted(self.objects_refused),
            "others_refused": _sorted(self.others_refused),
            "objects_dropped": _sorted(self.objects_dropped),
            "repairs": _sorted(self.repairs),
            "examples": dict(sorted(self.examples.items())),
            "unused_words": self.unused,
            "rows_of_a_picture_that_came_before": self.again,
            "near_duplicates": duplicates,
        }


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
