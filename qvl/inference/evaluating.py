"""Answers to validation pictures while a model is trained, and their scores."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from qvl.data import Ticket, Turn, TurnDataset, TurnFormat
from qvl.evaluation import Prediction, make_prediction, score_predictions
from qvl.inference.engine import Completion, Engine
from qvl.inference.predictions import picture_rows, truth_rows
from qvl.records import Record, Source
from qvl.runtime.distributed import rank_from_environment, together
from qvl.runtime.files import write_text
from qvl.runtime.progress import progress_bar
from qvl.visualization import worst_pictures

if TYPE_CHECKING:
    from swift.template import Template
    from torch import nn

__all__ = ["AnswerEvaluation", "Answered"]

_MODES: Final = ("dense", "summary")
"""What has a truth to compare an answer with; chat has none."""

_MARGIN: Final = 0.25
_STEP: Final = 64
"""An answer may be a quarter longer than the longest true one, rounded up to a multiple of this: a model that is not
trained yet says things twice, and a longer limit costs time with each answer that does not end."""

Rows = list[dict[str, Any]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of letting a model answer.

    Attributes:
        scores: Figures by name, such as `detection/f1_50`; the same in every process.
        pictures: The worst answers beside their truth, the worst first, in the first process only.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    pictures: Sequence[Image.Image] = ()


@dataclass(frozen=True, kw_only=True)
class AnswerEvaluation:
    """Lets a model answer validation turns and compares that with what is annotated, as `qvl.evaluate` does.

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

    @cached_property
    def tickets(self) -> list[Ticket]:
        """The turns that are answered: the first ones of every source in turn, chat left out."""
        plan = self.dataset.plan(0)
        seen = [0] * len(self.dataset.parts)
        found = []
        for ticket in (plan.ticket(turn) for turn in range(len(plan))):
            if self.dataset.parts[ticket.source].builder.mode in _MODES:
                found.append((seen[ticket.source], ticket))
                seen[ticket.source] += 1
        ordered = [ticket for _, ticket in sorted(found, key=lambda pair: pair[0])]
        return ordered[: self.settings["num_samples"]]

    @property
    def num_turns(self) -> int:
        """How many turns are answered each time."""
        return len(self.tickets)

    def fitted(self, answer_tokens: Callable[[Ticket], int]) -> AnswerEvaluation:
        """Return the same with a limit of tokens; where one was set, tell how many true answers do not fit.

        Args:
            answer_tokens: Gives the most tokens that the true answer of a turn has.
        """
        if not self.tickets:
            return self
        limit, needed = self.settings["max_new_tokens"], [answer_tokens(ticket) for ticket in self.tickets]
        if limit is None:
            limit = -(-max(needed) * (1 + _MARGIN) // _STEP) * _STEP
            _log.info("evaluation.max_new_tokens=%d: the longest true answer has up to %d", limit, max(needed))
        elif long := sum(tokens > limit for tokens in needed):
            _log.warning(
                "evaluation.max_new_tokens=%d cuts off %d of %d true answers (up to %d tokens), so recall cannot reach "
                "1; null fits the longest",
                *(limit, long, len(needed), max(needed)),
            )
        return replace(self, settings={**self.settings, "max_new_tokens": int(limit)})

    def __call__(
        self, model: nn.Module, template: Template, *, name: str, between: Callable[[], object] = lambda: None
    ) -> Answered:
        """Answer, write `predictions_<name>.jsonl` and return the scores; all processes have to call it together.

        Every process takes its share of the turns and as many batches as the others: some ways to share the weights
        generate only together. Who runs out of turns repeats one, and its answer is dropped.

        Args:
            model: Qwen3-VL, with or without an adapter; it is left in the mode it was in.
            template: Its chat template.
            name: Goes into the name of the file.
            between: Called by every process after each batch.

        Raises:
            QvlError: In every process, when one of them could not answer or show a turn.
        """
        if not self.tickets:
            return Answered()
        training = model.training
        try:
            turns = self._answered(model, template, name=name, between=between)
        finally:
            model.train(training)
        lines = [json.dumps(row, ensure_ascii=False) for rows in turns for row in rows]
        path = self.folder / f"predictions_{name}.jsonl"
        predictions = [make_prediction(json.loads(line), Source(str(path), no)) for no, line in enumerate(lines, 1)]
        scores = score_predictions(
            predictions,
            line_tolerance=self.settings["line_tolerance"],
            average_precision=self.settings["average_precision"],
        )
        if not rank_from_environment().is_main:
            return Answered(scores.as_dict())
        write_text(path, "".join(f"{line}\n" for line in lines))
        return Answered(scores.as_dict(), self._worst(predictions))

    def _worst(self, predictions: Sequence[Prediction]) -> list[Image.Image]:
        objects = [prediction for prediction in predictions if prediction.summary is None]
        tolerance = self.settings["line_tolerance"]
        return worst_pictures(objects, count=self.settings["num_pictures"], line_tolerance=tolerance)

    def _answered(
        self, model: nn.Module, template: Template, *, name: str, between: Callable[[], object]
    ) -> list[Rows]:
        """Return the rows of each turn, of all processes."""
        rank, size = rank_from_environment(), self.settings["batch_size"]
        longest = -(-self.num_turns // rank.world_size)
        mine = self.tickets[rank.rank :: rank.world_size]
        mine += self.tickets[:1] * (longest - len(mine))
        engine = Engine(
            model,
            template,
            pixel_limits=self.form.pixel_limits,
            max_new_tokens=self.settings["max_new_tokens"],
            batch_size=size,
        )
        shares: list[list[Rows]] = [[] for _ in range(rank.world_size)]
        with progress_bar() as bar:
            task = bar.add_task(f"answering ({name})", total=len(mine), visible=rank.is_main)
            for start in range(0, len(mine), size):
                found = together(partial(self._batch, engine, mine[start : start + size]))
                for share, rows in zip(shares, found, strict=True):
                    share += rows
                bar.update(task, completed=len(shares[0]))
                between()
        return [shares[turn % len(shares)][turn // len(shares)] for turn in range(self.num_turns)]

    def _batch(self, engine: Engine, tickets: Sequence[Ticket]) -> list[Rows]:
        turns = [self.dataset[ticket] for ticket in tickets]
        answers = engine.answers([turn.inputs for turn in turns])
        return [list(self._rows(turn, answer)) for turn, answer in zip(turns, answers, strict=True)]

    def _rows(self, turn: Turn, completion: Completion) -> Iterator[dict[str, Any]]:
        """Yield one row a picture."""
        sizes = [(record.width, record.height) for record in turn.records]
        found = picture_rows(completion, sizes, mode=turn.mode, form=self.form)
        for record, row in zip(turn.records, found, strict=True):
            yield {
                "source": str(record.source),
                "image": record.images[0],
                "width": record.width,
                "height": record.height,
                "truth": self._truth(record, turn.mode),
                **row,
            }

    def _truth(self, record: Record, mode: str) -> object:
        return str(record.summary) if mode == "summary" else truth_rows(record, self.form)
