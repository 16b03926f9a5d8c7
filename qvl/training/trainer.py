"""ms-swift's trainer with saves that are whole or absent, and no row left out of an epoch."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qvl.data import Contract, write_contract
from qvl.errors import HealthError
from qvl.runtime.checkpoint import checkpoint_folder, publish, rotate, staging_folder
from qvl.training.freezing import cut_frozen_tower
from qvl.training.sampling import TurnBatches
from qvl.training.saving import WeightsTrainer

if TYPE_CHECKING:
    import torch
    from torch import nn

    from qvl.callbacks import EpochAccount, Preemption, Telemetry

__all__ = ["SealedTrainer"]

_NOT_FOR_THE_MODEL = ("labels", "compute_loss_func", "loss_scale", "text_position_ids", "channel")


class SealedTrainer(WeightsTrainer):
    """Stands in front of the trainer that ms-swift picks.

    Stages, seals and renames checkpoints; takes batches from `TurnBatches` and counts their rows; stops at a loss that
    is not finite, and when `Preemption` says so.
    """

    _staging: Path | None = None

    batches: TurnBatches
    """The batches of this process, set before training."""

    control: Any

    account: EpochAccount
    """Counts rows for the checkpoints, set before training."""

    preemption: Preemption
    """Says when to leave, set before training."""

    telemetry: Telemetry
    """Adds speed and waste to the log, set before training."""

    contract: Contract | None = None
    """What the model is trained to be asked; written into every checkpoint."""

    num_rows = 0
    """Rows trained on by this process since the start of the epoch."""

    def get_train_dataloader(self, skip_batches: int = 0) -> object:
        """Return the batches of an epoch, every turn once over all processes."""
        from accelerate.data_loader import SkipBatchSampler
        from swift.utils import seed_worker

        batches: Any = self.batches
        if skip_batches:
            batches = SkipBatchSampler(batches, skip_batches=skip_batches)
        workers, rank = self.args.dataloader_num_workers, self.args.process_index
        return _timed_loader(self.telemetry)(
            self.train_dataset,
            device=self.accelerator.device,
            batch_sampler=batches,
            collate_fn=partial(_collate_counted, self.data_collator),
            num_workers=workers,
            pin_memory=self.args.dataloader_pin_memory,
            worker_init_fn=partial(seed_worker, num_workers=workers, rank=rank),
            prefetch_factor=self.args.dataloader_prefetch_factor,
            persistent_workers=bool(workers) and self.args.dataloader_persistent_workers,
        )

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return ms-swift's loss; a batch that only fills up the last step has none."""
        if model.training and not bool((inputs["labels"] != -100).any()):
            inputs = {key: value for key, value in inputs.items() if key not in _NOT_FOR_THE_MODEL}
            inputs["logits_to_keep"] = 1  # of all positions they would be gigabytes
            return model(**inputs).logits.sum() * 0.0
        return super().compute_loss(model, inputs, *args, **kwargs)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Run one micro step.

        Raises:
            HealthError: The loss is not finite; the weights are as before this optimiser step.
        """
        counts = inputs.pop("counts")
        self.num_rows += counts.rows
        self.telemetry.count(counts)
        loss: torch.Tensor = super().training_step(model, inputs, *args, **kwargs)
        if not bool(loss.isfinite().all()):
            step = self.state.global_step
            raise HealthError(f"the loss is {loss.item()} after step {step}; stopped before the weights were changed")
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, in training with the figures of the steps since the last time."""
        super().log({**logs, **self.telemetry.report()} if "loss" in logs else logs, *args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Train an epoch; upstream would train at least one step more than there are, after a resume at the last."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **kwargs)
            return
        self.control.should_training_stop = True
        self.control = self.callback_handler.on_epoch_end(self.args, self.state, self.control)
        self.control.should_evaluate = self.control.should_save = False

    def _evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate; when the processes are to leave, they do so before the evaluation or in it.

        The checkpoint then says that an evaluation is due, see `evaluate_if_due`.
        """
        from qvl.callbacks import EvaluationCut

        if not self.preemption.agreed:
            with suppress(EvaluationCut):
                metrics: dict[str, float] = super()._evaluate(*args, **kwargs)
                return metrics
        if self.args.save_strategy != "no":
            self._save_checkpoint(self.model, None)
        self.preemption.leave()

    def evaluate_if_due(self) -> None:
        """Do the evaluation that the run was stopped before, once its checkpoint is loaded."""
        control = self.state.stateful_callbacks.get("TrainerControl", {}).get("args", {})
        if control.pop("should_evaluate", False):
            self._load_rng_state(self.args.resume_from_checkpoint)  # it may be saved anew, as the best one
            self.control.should_evaluate = True
            self.control.should_save = self.state.global_step >= self.state.max_steps  # nobody would save it later
            self._maybe_log_save_evaluate(self._tr_loss, None, self.model, None, self.state.epoch, None, time.time())

    def _get_output_dir(self, trial: object) -> str:
        """Let upstream write into the staging folder while a checkpoint is made."""
        return str(self._staging) if self._staging else str(super()._get_output_dir(trial))

    def _prepare_gradient_checkpointing(self, model: nn.Module) -> None:
        """Prepare it, then cut off the frozen vision encoder: upstream's hooks ask for gradients of its input."""
        super()._prepare_gradient_checkpointing(model)
        cut_frozen_tower(model)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Write all pieces beside the run's checkpoints, then seal and rename them on the first process."""
        run, step = Path(self.args.output_dir), self.state.global_step
        final = checkpoint_folder(run, step)
        self._staging = staging_folder(run, step)
        if self.is_world_process_zero():
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir(parents=True)
            shutil.copy(run / "args.json", self._staging / "args.json")  # upstream copies it on from there
        _barrier()
        rows = self.account.count(step)
        try:
            with self._with_optimizer():
                super()._save_checkpoint(*args, **kwargs)
        finally:
            staging, self._staging = self._staging, None
        best = checkpoint_folder(run, self.state.best_global_step or 0)
        if best == final or best.is_dir():
            self.state.best_model_checkpoint = str(best)
        _barrier()
        if self.is_world_process_zero():
            whole = staging / final.name
            for script in whole.glob("zero_to_*.py"):  # DeepSpeed's; weights that come with code are not loaded
                script.unlink()
            self.state.save_to_json(str(whole / "trainer_state.json"))
            rows.write(whole)
            if self.part is None and (not self.args.save_only_model or self.preemption.agreed):
                self.weights.write(whole)
            if self.contract is not None:
                write_contract(whole, self.contract)
            publish(whole, final)
            shutil.rmtree(staging)
            self._rotate(run, final)
        _barrier()
        if self.preemption.agreed:
            self.preemption.leave()

    @contextmanager
    def _with_optimizer(self) -> Iterator[None]:
        """Save the optimiser too when the run is to go on from here, whatever `training.save_only_model` says."""
        before = self.args.save_only_model
        self.args.save_only_model = before and not self.preemption.agreed
        yield
        self.args.save_only_model = before

    def _rotate(self, run: Path, newest: Path) -> None:
        if self.args.save_total_limit:
            best = self.state.best_model_checkpoint
            rotate(run, keep=self.args.save_total_limit, protected={newest, *([Path(best)] if best else [])})

    def save_last(self) -> None:
        """Save the weights of the last step unless they lie there already."""
        if self.args.save_strategy == "no" or not self.state.global_step:
            return
        if not checkpoint_folder(Path(self.args.output_dir), self.state.global_step).exists():
            self._save_checkpoint(self.model, None)


def _collate_counted(collate: Callable[..., dict[str, Any]], samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Collate samples and carry along what they are to be counted as; it stays on the CPU."""
    from qvl.callbacks import MicroBatch

    rows = [sample.pop("num_rows") for sample in samples]
    batch = collate(samples)
    return {**batch, "counts": MicroBatch.of(samples, rows, width=batch["input_ids"].shape[1])}


def _timed_loader(telemetry: Telemetry) -> type:
    """Return upstream's loader, which moves batches to a device, with the time until they are there counted."""
    from swift.dataloader import DataLoaderShard
    from swift.utils import to_device
    from torch.utils.data import DataLoader

    class TimedLoader(DataLoaderShard):
        def __iter__(self) -> Iterator[object]:
            for batch in telemetry.timed(DataLoader.__iter__(self)):  # a copy would wait for the device as well
                yield to_device(batch, self.device)

    return TimedLoader


def _barrier() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
