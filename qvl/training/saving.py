"""Which weights a checkpoint holds, and how they come back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qvl.data import load_contract
from qvl.errors import CheckpointError
from qvl.runtime import hub_layout
from qvl.runtime.part import holds_part, put_part, write_part
from qvl.training.precision import TrainedWeights

if TYPE_CHECKING:
    import torch
    from swift.trainers import Seq2SeqTrainer as _Upstream
    from torch import nn
else:
    _Upstream = object

__all__ = ["SavedPart", "WeightsTrainer", "check_base", "part_to_save"]


@dataclass(frozen=True, slots=True)
class SavedPart:
    """What a checkpoint holds of a model of which a part is trained.

    Attributes:
        names: Of the weights that are trained, and of those that the run took over from a checkpoint of this kind.
        base: Folder or id of the model that the other weights are those of.
    """

    names: frozenset[str]
    base: str

    def write(self, folder: Path, model: nn.Module, state: Mapping[str, torch.Tensor] | None) -> None:
        """Write the weights as they are trained.

        Args:
            folder: Of the checkpoint; it is made.
            model: That is trained.
            state: Weights that DeepSpeed has gathered; None where those of the model are whole.
        """
        folder.mkdir(parents=True, exist_ok=True)
        values = dict(model.named_parameters()) if state is None else state
        write_part(folder, {name: values[name] for name in sorted(self.names)}, base=self.base)


def part_to_save(model: nn.Module, carried: Collection[str], *, base: str) -> SavedPart | None:
    """Return what checkpoints hold of a model; None for all of it, as every weight is trained.

    Args:
        model: Ready to be trained, without an adapter.
        carried: Names of the weights that differ from the base model before training.
        base: Folder or id of that.
    """
    weights = dict(model.named_parameters())
    names = {name for name, value in weights.items() if value.requires_grad}.union(carried)
    return None if names == weights.keys() else SavedPart(frozenset(names), base)


def check_base(checkpoint: Path, model: str, digest: str) -> None:
    """Make sure that the part of a model that a checkpoint holds, if it does, was trained on that model.

    Args:
        checkpoint: Its folder.
        model: Folder or id of the model that was loaded.
        digest: Of its files, see `qvl.data.model_digest`.

    Raises:
        CheckpointError: It was trained on another one, or does not say on which.
    """
    if holds_part(checkpoint) and (trained_on := load_contract(checkpoint).base_digest) != digest:
        raise CheckpointError(f"{checkpoint}: was trained on a model with digest {trained_on}, {model} has {digest}")


class WeightsTrainer(_Upstream):
    """Stands in front of the trainer that ms-swift picks, behind our others: saves and loads weights."""

    weights: TrainedWeights
    """What is trained, set before training."""

    part: SavedPart | None = None
    """What a checkpoint holds; None: the whole model, or an adapter."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save a part as it is trained, a whole model in the type that it was loaded in and the layout of the hub."""
        folder = Path(output_dir or self.args.output_dir)
        if self.part is not None:
            self.part.write(folder, self.model, state_dict)
            return
        with hub_layout(self.model):
            super()._save(output_dir, self.weights.as_saved(state_dict))
        self.weights.name_type(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Load weights to go on with; those that are not in the checkpoint are the base's."""
        folder = Path(resume_from_checkpoint)
        if holds_part(folder):
            trained = {name for name, value in self.model.named_parameters() if value.requires_grad}
            put_part(folder, self.model, exactly=trained if self.part is None else self.part.names)
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Load them, and the float32 weights that they belong to where the weights had fewer digits."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and not holds_part(Path(checkpoint)):
            self.weights.read(Path(checkpoint))

    def _load_best_model(self) -> None:
        """Load the best weights when training ends."""
        best = Path(self.state.best_model_checkpoint)
        if holds_part(best) and not self.is_deepspeed_enabled:
            put_part(best, self.model)
            return
        with _parts_for_deepspeed():
            super()._load_best_model()

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        """Wrap the model, and let DeepSpeed load what it has to go on with."""
        with _parts_for_deepspeed():
            return super()._prepare_for_training(*args, **kwargs)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Save them; DeepSpeed writes weights as well, all of them unless told otherwise."""
        if self.part is None or not self.is_deepspeed_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        engine = self.model_wrapped
        engine.save_checkpoint = partial(engine.save_checkpoint, exclude_frozen_parameters=True)
        try:
            super()._save_optimizer_and_scheduler(output_dir)
        finally:
            del engine.save_checkpoint


@contextmanager
def _parts_for_deepspeed() -> Iterator[None]:
    """Let DeepSpeed load a checkpoint without the frozen weights for a while; upstream does so for adapters only."""
    from transformers import trainer

    load = trainer.deepspeed_load_checkpoint

    def load_part(engine: Any, folder: str, load_module_strict: bool = True) -> None:
        load(engine, folder, load_module_strict=load_module_strict and not holds_part(Path(folder)))

    trainer.deepspeed_load_checkpoint = load_part
    try:
        yield
    finally:
        trainer.deepspeed_load_checkpoint = load
