"""What a run would take: its model, its load and its machine put together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qvl.errors import ConfigError
from qvl.machine import has_device
from qvl.planning import (
    Batch,
    Memory,
    Setting,
    device_peak,
    optimizer_bytes,
    peak_memory,
    spare,
    step_flops,
    tokenizer_bytes,
)
from qvl.runtime.distributed import rank_from_environment
from qvl.training.job import TrainingJob
from qvl.training.load_plan import LoadPlan, plan_load
from qvl.training.model_plan import ModelPlan, load_config, plan_model
from qvl.training.sampling import TurnBatches
from qvl.training.sharding import zero_stage

if TYPE_CHECKING:
    from qvl.callbacks import MicroBatch

__all__ = ["Device", "RunPlan", "find_device", "plan_of_run", "plan_weights"]

_log = logging.getLogger(__name__)

_SURE = 0.85  # of a device: the arithmetic of kept activations has not been compared with a GPU yet
_ASSUMED = ("A100, as no GPU is here", 8, 80.0, 312.0)


@dataclass(frozen=True, slots=True)
class Device:
    """The machine that is reckoned with.

    Attributes:
        name: In words.
        processes: Devices that train together.
        memory: Bytes of one.
        tflops: Its peak in bfloat16, in TFLOP/s.
        mfu: Share of that peak that is reached.
    """

    name: str
    processes: int
    memory: float
    tflops: float
    mfu: float


def find_device(wanted: Mapping[str, Any], *, micro_batches: int) -> Device:
    """Return the machine that a configuration names; what it leaves open is that of the GPUs here, or of 8 A100.

    Args:
        wanted: Keys of the node `plan`.
        micro_batches: Of an optimiser step over all devices; as many devices as divide it are taken.
    """
    import torch

    name, processes, gigabytes, tflops = _ASSUMED
    if torch.cuda.is_available():
        name, processes = torch.cuda.get_device_name(0), torch.cuda.device_count()
        gigabytes = torch.cuda.get_device_properties(0).total_memory / 1e9
        tflops = (device_peak(name) or 1e12 * tflops) / 1e12
    fitting = max(number for number in range(1, processes + 1) if micro_batches % number == 0)
    return Device(
        name=name,
        processes=int(wanted["processes"] or fitting),
        memory=1e9 * float(wanted["device_gb"] or gigabytes),
        tflops=float(wanted["tflops"] or tflops),
        mfu=float(wanted["mfu"]),
    )


@dataclass(frozen=True)
class RunPlan:
    """A run before it is started.

    Attributes:
        config: Sections and root keys of the configuration as plain values.
        model: What is trained.
        load: What is computed.
        device: On what.
        path: Folder or id of the model.
    """

    config: Mapping[str, Any]
    model: ModelPlan
    load: LoadPlan
    device: Device
    path: str

    @property
    def checkpointing(self) -> bool:
        """Whether activations are computed twice: as the configuration says, else where they would hardly fit."""
        own = self.config["training"]["gradient_checkpointing"]
        return self.needs_checkpointing if own is None else bool(own)

    @property
    def setting(self) -> Setting:
        """Precision and sharding."""
        return _setting(self.config, self.model, self.device.processes)

    def memory(self, *, checkpointing: bool, **changes: Any) -> Memory:
        """Return the memory of the largest batch of any epoch.

        Args:
            checkpointing: Whether activations are computed twice.
            **changes: Attributes of `Setting` that are to be others.
        """
        tuning, setting = self.model.tuning(checkpointing=checkpointing), replace(self.setting, **changes)
        return peak_memory(self.model.architecture, self.load.largest, tuning, self.model.weights, setting)

    def spare(self, *, checkpointing: bool, **changes: Any) -> float:
        """Return bytes that stay free on a device; arguments as of `memory`."""
        return spare(self.memory(checkpointing=checkpointing, **changes), self.device.memory)

    @property
    def needs_checkpointing(self) -> bool:
        """Whether activations are better computed twice, because the largest batch hardly fits when they are kept."""
        return self.memory(checkpointing=False).needed > _SURE * self.device.memory

    def hours(self, *, checkpointing: bool) -> float:
        """Return hours of computing; scoring, saving and waiting for data come on top."""
        _, _, waited = self.load.epoch_flops(self.model.architecture, self.model.tuning(checkpointing=checkpointing))
        epochs = self.load.steps / self.load.steps_per_epoch
        return waited * epochs / (self.device.processes * self.device.tflops * 1e12 * self.device.mfu) / 3600

    def needed_flops(self, work: MicroBatch) -> float:
        """Return the operations that a model needs for some work, without what checkpointing computes again."""
        batch = Batch(work.padded, work.token_pairs, work.labelled, work.patches, work.patch_pairs)
        return step_flops(self.model.architecture, batch, self.model.tuning(checkpointing=False)).model

    def step_flops(self, *, checkpointing: bool) -> float:
        """Return operations of one optimiser step over all devices."""
        _, done, _ = self.load.epoch_flops(self.model.architecture, self.model.tuning(checkpointing=checkpointing))
        return done / self.load.steps_per_epoch

    @property
    def checkpoint_bytes(self) -> tuple[int, int]:
        """Size of the weights of one checkpoint, and of the whole of it."""
        training, dtype, zero = self.config["training"], str(self.config["model"]["torch_dtype"]), self.setting.zero
        is_part = self.model.is_part(save_whole=bool(training["save_whole_model"]))
        base = self.path if is_part else None
        weights = self.model.weight_file_bytes(dtype, part_of=base, sharded=bool(zero))
        is_whole = not (is_part or self.model.is_adapter)
        rest = tokenizer_bytes(self.model.architecture.text.vocabulary) if is_whole else 0
        if not training["save_only_model"]:
            rest += optimizer_bytes(self.model.weights.trained, zero=zero)
            rest += self.model.masters_bytes() if dtype == "bfloat16" and not (zero or is_part) else 0
        return weights, weights + rest

    @property
    def num_checkpoints(self) -> int:
        """The most checkpoints that lie on disk at one time; one more than are kept while one is written."""
        training = self.config["training"]
        if training["save_strategy"] == "no":
            return 0
        every = {"steps": training["save_steps"], "best": training["eval_steps"]}.get(training["save_strategy"])
        made = -(-self.load.steps // int(every or self.load.steps_per_epoch))
        kept = training["save_total_limit"]
        return made if kept is None else min(made, int(kept) + 1)

    @property
    def advice(self) -> str:
        """One sentence: what to change, or that nothing has to be."""
        kept, twice = (self.spare(checkpointing=value) for value in (False, True))
        own = twice if self.checkpointing else kept
        if own >= 0:
            return self._better(kept)
        if not self.checkpointing and twice >= 0:
            return "does not fit; training.gradient_checkpointing=true makes it fit"
        for stage in range(self.setting.zero + 1, 4):
            if stage > 1 and self.spare(checkpointing=True, zero=stage) >= 0:
                return f"does not fit; add deepspeed=zero{stage} training.gradient_checkpointing=true"
        if self.config["training"]["per_device_train_batch_size"] > 1:
            return "does not fit; lower training.per_device_train_batch_size, then model.max_pixels"
        return "does not fit; take more devices or a smaller model, or lower model.max_pixels"

    def _better(self, kept: float) -> str:
        """Return how a run that fits would be faster."""
        if self.checkpointing and kept >= 0:
            gained = 1 - self.hours(checkpointing=False) / self.hours(checkpointing=True)
            return f"fits; training.gradient_checkpointing=false fits too and saves {gained:.0%} of the time"
        if self.load.useful < 0.9 and self.config["data"]["batching"] != "grouped":
            return f"fits; {1 - self.load.useful:.0%} of the work is padding and waiting: try data.batching=grouped"
        return "fits as it stands"


def plan_weights(job: TrainingJob) -> ModelPlan | None:
    """Return what the tuner of a run makes of its model; None for a model of an unknown shape.

    To be asked before DeepSpeed is set up: with ZeRO-3 a model cannot be made on the meta device any more.

    Args:
        job: What trains on what.

    Raises:
        ConfigError: A GPU cannot hold the weights, their gradients and the optimiser, whatever the batches are.
        HealthError: The tuner names a module that the model has not.
    """
    try:
        model = plan_model(load_config(str(job.model["path"])), job.tuner)
    except ConfigError as error:
        _log.warning("memory and MFU of this run are not known: %s", error)
        return None
    if has_device():
        _check_memory(job, model)
    return model


def plan_of_run(job: TrainingJob, model: ModelPlan | None, batches: TurnBatches) -> RunPlan | None:
    """Return the plan of a run that is about to begin, on its own batches; None for a model of an unknown shape.

    Args:
        job: What trains on what.
        model: See `plan_weights`.
        batches: Of all processes.
    """
    if model is None:
        return None
    return RunPlan(job.config, model, plan_load(batches), _device(job), str(job.model["path"]))


def _check_memory(job: TrainingJob, model: ModelPlan) -> None:
    device = _device(job)
    setting, tuning = _setting(job.config, model, device.processes), model.tuning(checkpointing=True)
    memory = peak_memory(model.architecture, Batch(0, 0, 0, 0, 0), tuning, model.weights, setting).resident
    if memory > device.memory:
        stage = max(setting.zero + 1, 2)
        advice = f"deepspeed=zero{stage} shares more of it" if stage <= 3 else "take more devices or a smaller model"
        raise ConfigError(
            f"tuner: weights, gradients and optimiser take {memory / 1e9:.0f} GB on each device, which has "
            f"{device.memory / 1e9:.0f} GB; {advice}; debug=plan shows what takes it"
        )


def _device(job: TrainingJob) -> Device:
    """Return the device of this run."""
    return find_device({**job.config["plan"], "processes": rank_from_environment().world_size}, micro_batches=1)


def _setting(config: Mapping[str, Any], model: ModelPlan, processes: int) -> Setting:
    dtype, bf16 = str(config["model"]["torch_dtype"]), config["training"]["bf16"]
    return Setting(
        dtype=dtype,
        bf16=dtype == "bfloat16" if bf16 is None else bool(bf16),
        adapter_inputs=model.adapter_inputs,
        dropout=float(config["tuner"]["lora_dropout"]) if model.is_adapter else 0.0,
        attention=str(config["model"]["attn_impl"]),
        zero=zero_stage(config["deepspeed"]["config"]),
        processes=processes,
    )
