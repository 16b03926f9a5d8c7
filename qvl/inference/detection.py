"""Detection scores of generated answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.progress import track

from qvl.conversation import TextObject, parse_answer
from qvl.data import Ticket, Turn, TurnDataset, TurnFormat
from qvl.inference.engine import Completion, Engine
from qvl.inference.predictions import norm1000, truth_rows
from qvl.metrics import DetectionMetric, Labelled
from qvl.records import category
from qvl.runtime.distributed import gathered, rank_from_environment
from qvl.runtime.files import write_text

if TYPE_CHECKING:
    from swift.template import Template
    from torch import nn

__all__ = ["DetectionEvaluation"]


@dataclass(frozen=True, kw_only=True)
class DetectionEvaluation:
    """Lets a model answer validation pictures and compares its objects with the annotated ones.

    Attributes:
        dataset: Validation rows in a fixed order.
        form: How pictures are shown and answers written.
        settings: Keys of the group `evaluation`.
        folder: Where `predictions_<name>.jsonl` is written.
    """

    dataset: TurnDataset
    form: TurnFormat
    settings: Mapping[str, Any]
    folder: Path

    def __call__(self, model: nn.Module, template: Template, *, name: str) -> dict[str, float]:
        """Return `f1`, `precision`, `recall` and `parse_rate`; every process takes its share of the pictures.

        Nothing is returned if `num_samples` is 0.
        """
        chosen = self._tickets()[: self.settings["num_samples"]]
        if not chosen:
            return {}
        rank = rank_from_environment()
        turns = [self.dataset[ticket] for ticket in chosen[rank.rank :: rank.world_size]]
        engine = Engine(
            model,
            template,
            pixel_limits=self.form.pixel_limits,
            max_new_tokens=self.settings["max_new_tokens"],
            batch_size=self.settings["batch_size"],
        )
        training = model.training
        answers = engine.answers([turn.inputs for turn in turns])
        steps = track(answers, f"answering ({name})", total=len(turns), transient=True, disable=not rank.is_main)
        rows = [row for turn, completion in zip(turns, steps, strict=True) for row in self._rows(turn, completion)]
        model.train(training)
        rows = [row for share in gathered(rows) for row in share]
        if rank.is_main:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            write_text(self.folder / f"predictions_{name}.jsonl", text)
        return self._scores(rows)

    def _tickets(self) -> list[Ticket]:
        """Return the turns whose answers are objects; summaries and chat are not scored here."""
        plan = self.dataset.plan(0)
        tickets = (plan.ticket(turn) for turn in range(len(plan)))
        return [ticket for ticket in tickets if self.dataset.parts[ticket.source].builder.mode == "dense"]

    def _rows(self, turn: Turn, completion: Completion) -> Iterator[dict[str, Any]]:
        """Yield one prediction row a picture."""
        parsed = parse_answer(completion.text, image_label=self.form.image_label)
        for number, record in enumerate(turn.records):
            answered = parsed.images[number] if number < len(parsed.images) else ()
            size = {"width": record.width, "height": record.height}
            predicted = [norm1000(item, **size, emit_norm=self.form.emit_norm) for item in answered]
            yield {
                "image": record.images[0],
                "source": str(record.source),
                "width": record.width,
                "height": record.height,
                "truth": truth_rows(record, self.form),
                "predicted": [asdict(item) for item in predicted],
                "faults": [asdict(fault) for fault in parsed.faults],
                "completion": completion.text,
                "finish_reason": completion.finish_reason,
            }

    def _scores(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        metric = DetectionMetric(threshold=self.settings["threshold"], line_tolerance=self.settings["line_tolerance"])
        for row in rows:
            truth, predicted = _labelled(row["truth"]), _labelled(row["predicted"])
            metric.update(truth, predicted, num_malformed=len(row["predicted"]) - len(predicted))
        result = metric.compute()
        clean = sum(not row["faults"] for row in rows)
        return {
            "f1": result.f1,
            "precision": result.precision,
            "recall": result.recall,
            "parse_rate": clean / len(rows),
        }


def _labelled(rows: Sequence[Mapping[str, Any]]) -> list[Labelled]:
    """Return the rows that have a possible shape."""
    found = []
    for row in rows:
        try:
            shape = TextObject(row["desc"], row["key"], tuple(row["numbers"])).shape()
        except ValueError:  # a reversed or empty box; the caller counts it as malformed
            continue
        found.append(Labelled(category(row["desc"]), shape))
    return found
