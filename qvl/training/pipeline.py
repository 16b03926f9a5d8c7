"""The door to ms-swift: its fine-tuning pipeline with our data, checks and trainer."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from qvl.data import Contract, model_digest
from qvl.errors import CheckpointError, HealthError
from qvl.machine import has_device
from qvl.planning import device_peak
from qvl.runtime import quiet_loading
from qvl.runtime.checkpoint import discard_staging, list_checkpoints
from qvl.runtime.distributed import gathered, rank_from_environment, together
from qvl.runtime.files import write_text
from qvl.runtime.manifest import add_to_manifest
from qvl.runtime.part import names_of_part, put_part
from qvl.training.arguments import sft_arguments
from qvl.training.conversation_dump import dump_turn
from qvl.training.encoding import ConversationEncoder, EncodedDataset
from qvl.training.freezing import (
    check_carried,
    check_sources,
    check_trainable,
    expected_trainable,
    reach_all_weights,
)
from qvl.training.job import Evaluate, TrainingJob, TrainingResult
from qvl.training.lengths import check_lengths
from qvl.training.model_plan import ModelPlan
from qvl.training.patches import has_raw_form, normalise_on_device
from qvl.training.precision import TrainedWeights
from qvl.training.preload import quiet_upstream
from qvl.training.run_plan import RunPlan, plan_of_run, plan_weights
from qvl.training.run_view import device_name, run_start, show_start
from qvl.training.sampling import Machine, TurnBatches
from qvl.training.saving import check_base, part_to_save
from qvl.training.scoring import ScoringTrainer
from qvl.training.sharding import open_communication, places, spreads_weights
from qvl.training.template import distrust_remote_code
from qvl.training.trainer import SealedTrainer

if TYPE_CHECKING:
    from swift.pipelines import SwiftSft as _Upstream

    from qvl.callbacks import ProgressBar
else:
    _Upstream = object

__all__ = ["SwiftTrainer"]

SCORES_BEFORE = "metrics_before.json"

_TUNER_KEYS = (
    "tuner_type",
    "freeze_llm",
    "freeze_vit",
    "freeze_aligner",
    "target_modules",
    "target_parameters",
    "modules_to_save",
    "use_dora",
)


class SwiftTrainer:
    """Trains with ms-swift's supervised fine-tuning pipeline; one run a process."""

    def run(self, job: TrainingJob, *, evaluate: Evaluate) -> TrainingResult:
        """Train one model.

        Args:
            job: What to train on what.
            evaluate: Lets the model answer and scores that; called by all processes.

        Returns:
            Metrics before and after, and where the checkpoints lie.

        Raises:
            QvlError: The data, the model or the checkpoint to resume from is not what was asked for.
        """
        quiet_upstream()
        if rank_from_environment().is_main:
            discard_staging(job.output_dir)
        tensorboard = str(job.output_dir / "tensorboard")
        with _environment(TENSORBOARD_LOGGING_DIR=tensorboard, **places(job.config["deepspeed"]["config"])):
            planned = plan_weights(job)
            with quiet_loading():
                arguments = sft_arguments(job)
            if found := _agreed_checkpoint(job):
                arguments.resume_from_checkpoint = arguments.training_args.resume_from_checkpoint = str(found)
            distrust_remote_code()
            _load_to_numbered_cpu()
            if arguments.deepspeed and arguments.use_cpu:
                open_communication(timeout_s=arguments.ddp_timeout)
            from swift.pipelines import SwiftSft

            pipeline_class = type("QvlSftPipeline", (QvlSft, SwiftSft), {})
            with quiet_loading():
                pipeline = pipeline_class(arguments, job, evaluate, planned)
            result: TrainingResult = pipeline.main()
        return result


class QvlSft(_Upstream):
    """Upstream's order kept: data, `prepare_model`, trainer, train."""

    model: Any

    plan: RunPlan | None
    """What the run takes; None for a model of an unknown shape."""

    def __init__(self, arguments: object, job: TrainingJob, evaluate: Evaluate, planned: ModelPlan | None) -> None:
        self.job = job
        self.planned = planned
        self.evaluate = evaluate
        self.before: Mapping[str, float] = {}
        super().__init__(arguments)

    def _prepare_model_tokenizer(self, **kwargs: Any) -> None:
        """Load the model as upstream does, then put in the weights of the checkpoint that the run starts from."""
        super()._prepare_model_tokenizer(**kwargs)
        if self.job.part is not None:
            put_part(self.job.part, self.model)

    def _prepare_template(self) -> None:
        """Read the placeholder ids from the processor; upstream has those of Qwen's own vocabulary written in."""
        super()._prepare_template()
        self.template.image_token_id = self.processor.image_token_id
        self.template.video_token_id = self.processor.video_token_id

    def _prepare_dataset(self) -> tuple[EncodedDataset, EncodedDataset]:
        job, data = self.job, self.job.config["data"]
        raw = job.training["raw_patches"] and has_raw_form(self.template.processor.image_processor)
        encoder = ConversationEncoder(self.template, job.form, raw=raw)
        epochs = math.ceil(self.args.num_train_epochs)
        if self.args.max_steps > 0:
            epochs = math.ceil(self.args.max_steps / math.ceil(len(job.train) / job.training["effective_batch_size"]))
        settings = {"limit": job.max_length, "on_overlength": data["on_overlength"]}
        self.evaluate = self.evaluate.fitted(check_lengths(job.val, encoder, epochs=1, **settings).answer)
        self.batches = TurnBatches(
            job.train,
            check_lengths(job.train, encoder, epochs=epochs, **settings),
            machine=self._machine(),
            batching=data["batching"],
            limit=job.max_length,
            total_steps=max(self.args.max_steps, 0) or None,
            epochs=self.args.num_train_epochs,
        )
        if job.ledger is not None:
            for entry in (entry for part in (*job.train.parts, *job.val.parts) for entry in part.rows.left_out):
                job.ledger.record(entry.source.file, entry.source.line, entry.reason, rows=entry.rows)
        every = job.config["health"]["every_n"]
        first = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        train = EncodedDataset(job.train, encoder, check_first=first, check_every=every)
        val = EncodedDataset(job.val, encoder, check_first=1, check_every=every)
        if data["dump_conversation_text"] and rank_from_environment().is_main:
            dump_turn(job.train[0], encoder, job.output_dir / "conversation.txt")
        return train, val

    def _machine(self) -> Machine:
        rank = rank_from_environment()
        return Machine(
            batch_size=self.args.per_device_train_batch_size,
            accumulation=self.args.gradient_accumulation_steps,
            rank=rank.rank,
            world_size=rank.world_size,
        )

    @classmethod
    def prepare_model(cls, args: Any, model: Any, **kwargs: Any) -> Any:
        """Freeze and adapt as upstream does, then make sure that the right weights are trained."""
        expected = expected_trainable(model, {key: vars(args)[key] for key in _TUNER_KEYS})
        prepared = super().prepare_model(args, model, **kwargs)
        check_trainable(prepared, expected)
        return prepared

    def run(self) -> TrainingResult:
        """Do what upstream's `run` does, with our trainer class."""
        from swift.trainers import TrainerFactory

        contract = self._contract()
        train, val = self._prepare_dataset()
        self.plan = plan_of_run(self.job, self.planned, self.batches)
        self._choose_checkpointing()
        self.args.save_args()
        model = self.prepare_model(self.args, self.model, template=self.template, train_dataset=train)
        check_sources(model, {part.name: part.builder.mode for part in self.job.train.parts})
        self.model = model
        carried = frozenset() if self.job.part is None else names_of_part(self.job.part)
        check_carried(model, carried)
        weights = TrainedWeights(model, sharded=bool(self.args.deepspeed))
        if not self.args.deepspeed:  # with it, upstream shows the model a picture where a batch has none
            reach_all_weights(model)
        normalise_on_device(model, self.template.processor.image_processor)
        trainer_class = type(
            "QvlTrainer", (ScoringTrainer, SealedTrainer, TrainerFactory.get_trainer_cls(self.args)), {}
        )
        trainer = trainer_class(
            model=model,
            args=self.args.training_args,
            template=self.template,
            train_dataset=train,
            eval_dataset=val,
        )
        trainer.batches = self.batches
        trainer.weights = weights
        trainer.contract = contract
        if self.args.tuner_type == "full" and contract is not None and not self.job.training["save_whole_model"]:
            trainer.part = part_to_save(model, carried, base=self.args.model_dir)
        if rank_from_environment().is_main:
            start = run_start(trainer, self.job, self.plan)
            add_to_manifest(self.job.output_dir, "training", start.as_dict())
            show_start(start, folder=self.job.output_dir, console=Console())
        return self.train(trainer)

    def _choose_checkpointing(self) -> None:
        """Compute activations twice only where they do not fit, if the user left that open; all processes alike.

        Gradients are the same either way, a step takes about a third longer.
        """
        if self.job.training["gradient_checkpointing"] is not None:
            return
        needed = has_device() and (self.plan is None or self.plan.needs_checkpointing)
        for arguments in (self.args, self.args.training_args):
            arguments.gradient_checkpointing = any(gathered(needed))
            if "vit_gradient_checkpointing" not in self.job.training["extra"]:
                arguments.vit_gradient_checkpointing = arguments.gradient_checkpointing

    def _contract(self) -> Contract | None:
        """Return the contract of the job with the digest of the model that was loaded.

        Raises:
            CheckpointError: The weights to start from, or to go on from, were trained on another model.
        """
        if self.job.contract is None:
            return None
        is_main = rank_from_environment().is_main
        digest = together(lambda: model_digest(Path(self.args.model_dir)) if is_main else "")[0]
        resumed = self.args.resume_from_checkpoint
        for folder in (self.job.part, None if resumed is None else Path(resumed)):
            if folder is not None:
                check_base(folder, self.args.model_dir, digest)
        return replace(self.job.contract, base_digest=digest)

    def train(self, trainer: Any) -> TrainingResult:
        """Score, train, score."""
        from swift.trainers.patcher import PrinterCallbackNew

        from qvl.callbacks import Preemption, ProgressBar, Telemetry

        trainer.remove_callback(PrinterCallbackNew)  # it fails when a model is scored before training
        with Preemption() as preemption, closing(ProgressBar()) as bar:
            trainer.preemption = preemption
            trainer.telemetry = Telemetry(
                flops=None if self.plan is None else self.plan.needed_flops,
                peak=device_peak(device_name()) if self.args.bf16 else None,  # of other products none is known
            )
            self._add_callbacks(trainer, bar)
            super().train(trainer)
            trainer.save_last()
            preemption.finish()
            after = trainer.score("after")
        checkpoints = list_checkpoints(Path(self.args.output_dir))
        return TrainingResult(
            before=self.before,
            after=after,
            checkpoint=str(checkpoints[-1]) if checkpoints else None,
            best_checkpoint=trainer.state.best_model_checkpoint,
            global_step=trainer.state.global_step,
            speed=trainer.telemetry.report_all(),
        )

    def _add_callbacks(self, trainer: Any, bar: ProgressBar) -> None:
        from qvl.callbacks import AnswerSteps, CallAtBegin, EpochAccount, EpochToDataset, ProgressFile, RanksAgree

        run, resumed = self.job.output_dir, self.args.resume_from_checkpoint
        trainer.ask = self.evaluate
        trainer.answer_steps = AnswerSteps(
            self.job.config["evaluation"]["every_steps"] if self.evaluate.num_turns else None
        )
        trainer.account = EpochAccount(
            trainer, self.batches, run / "epochs.jsonl", resumed=None if resumed is None else Path(resumed)
        )
        begin = CallAtBegin(lambda: self._begin(trainer))
        ours = (trainer.preemption, EpochToDataset(self.job.train), trainer.account, begin, bar, trainer.answer_steps)
        every = 0 if spreads_weights(self.args.deepspeed) else self.job.config["health"]["ranks_every_n"]
        for callback in (
            *ours,
            trainer.telemetry,
            RanksAgree(every=every),
            ProgressFile(run / "progress.json"),
            *self.job.callbacks,
        ):
            trainer.add_callback(callback)

    def _begin(self, trainer: Any) -> None:
        """Make sure that the processes train together, and score the model as it comes.

        Scoring it any earlier would make accelerate take it for wrapped already and leave its gradients unsynchronised.
        """
        world_size = rank_from_environment().world_size
        if trainer.accelerator.num_processes != world_size or (
            world_size > 1 and trainer.model_wrapped is trainer.model
        ):
            raise HealthError(
                f"{world_size} processes were started, but the gradients of {trainer.accelerator.num_processes} are "
                f"averaged over a {type(trainer.model_wrapped).__name__}"
            )
        if self.args.resume_from_checkpoint is not None:
            self.before = _scores_before(Path(self.args.resume_from_checkpoint), self.job.output_dir)
            trainer.evaluate_if_due()
        elif self.job.config["evaluation"]["before_training"]:
            self.before = trainer.score("before")
            if rank_from_environment().is_main:
                write_text(self.job.output_dir / SCORES_BEFORE, json.dumps(dict(self.before)) + "\n")

    def _save_trainer_state(self, trainer: Any) -> dict[str, object]:
        """Leave out upstream's plots and its summary; TensorBoard and our own files hold them."""
        return {}


def _agreed_checkpoint(job: TrainingJob) -> Path | None:
    """Return the checkpoint to go on from: the first process looks for it and verifies it, the others are told.

    Raises:
        CheckpointError: On all processes, for what the first one found.
    """
    found, error = None, None
    if job.find_checkpoint is not None and rank_from_environment().is_main:
        try:
            found = job.find_checkpoint()
        except CheckpointError as caught:
            error = caught
    found, error = gathered((found, error))[0]
    if error is not None:
        raise error
    return found


def _scores_before(resumed: Path, run: Path) -> Mapping[str, float]:
    """Return how this run scored before its first step, if it went on by itself and not from another run."""
    path = run / SCORES_BEFORE
    if resumed.resolve().parent != run.resolve() or not path.is_file():
        return {}
    scores: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return scores


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for a while: upstream only sets what is not there yet."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value


def _load_to_numbered_cpu() -> None:
    """Let torch load an optimiser to `cpu:0`, as accelerate calls the CPU of one of several processes."""
    import torch

    def restore(storage: object, location: str) -> object:
        return storage if location.startswith("cpu:") else None

    torch.serialization.register_package(11, lambda storage: None, restore)
