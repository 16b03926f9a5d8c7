"""What one training run needs, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qvl.data import Contract, Ledger, Ticket, TurnDataset, TurnFormat

if TYPE_CHECKING:
    from PIL import Image
    from torch import nn

__all__ = ["Answered", "Evaluate", "TrainingJob", "TrainingResult"]


class Answered(Protocol):
    """What came of letting a model answer."""

    @property
    def scores(self) -> Mapping[str, float]:
        """Figures by name; the same in every process."""

    @property
    def pictures(self) -> Sequence[Image.Image]:
        """The worst answers, to look at; in the first process."""


class Evaluate(Protocol):
    """Lets the model answer as it stands and scores that; all ranks call it together."""

    @property
    def num_turns(self) -> int:
        """How many turns are answered each time; 0 for none."""

    def fitted(self, answer_tokens: Callable[[Ticket], int]) -> Evaluate:
        """Return the same for answers as long as the true ones, which have so many tokens."""

    def __call__(self, model: nn.Module, template: Any, *, name: str, between: Callable[[], object]) -> Answered:
        """Return the scores; `name` says which evaluation it is, `between` is called by all after each batch."""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One run.

    Attributes:
        config: Sections and root keys of the configuration as plain values; the path of the model is resolved.
        train: Rows to train on, checked.
        val: Rows to evaluate on, checked.
        form: How pictures are shown and answers written.
        output_dir: The run's folder.
        part: Checkpoint whose weights take the places of those of the model before training; None for none.
        ledger: Where dropped rows are listed; None on ranks other than the first.
        find_checkpoint: Returns a verified checkpoint to go on from, or None; called by the first process.
        callbacks: Callbacks of the transformers trainer.
        contract: Goes into every checkpoint; None for none.
    """

    config: Mapping[str, Any]
    train: TurnDataset
    val: TurnDataset
    form: TurnFormat
    output_dir: Path
    part: Path | None = None
    ledger: Ledger | None = None
    find_checkpoint: Callable[[], Path | None] | None = None
    callbacks: Sequence[object] = ()
    contract: Contract | None = None

    @property
    def model(self) -> Mapping[str, Any]:
        """Keys of the group `model`."""
        return self._section("model")

    @property
    def tuner(self) -> Mapping[str, Any]:
        """Keys of the group `tuner`."""
        return self._section("tuner")

    @property
    def training(self) -> Mapping[str, Any]:
        """Keys of the group `training`."""
        return self._section("training")

    @property
    def max_length(self) -> int:
        """Longest user turn in tokens."""
        return int(self.config["global_max_length"])

    def _section(self, name: str) -> Mapping[str, Any]:
        section: Mapping[str, Any] = self.config[name]
        return section


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a run leaves behind.

    Attributes:
        before: Metrics before the first step; empty if not asked for.
        after: Metrics of the trained model.
        checkpoint: The last checkpoint, or None if nothing was saved.
        best_checkpoint: The best one by the chosen metric, or None.
        global_step: Steps taken.
        speed: How fast it went since it was started last, see `qvl.callbacks.FIGURES`.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    checkpoint: str | None
    best_checkpoint: str | None
    global_step: int
    speed: Mapping[str, float] = field(default_factory=dict)
