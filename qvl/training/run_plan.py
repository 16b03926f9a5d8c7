"""What a run would take: its model, its load and its machine put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qvl.planning import (
    Memory,
    Setting,
    optimizer_bytes,
    peak_memory,
    spare,
    tokenizer_bytes,
)
from qvl.training.load_plan import LoadPlan
from qvl.training.model_plan import ModelPlan

__all__ = ["Device", "RunPlan", "find_device", "zero_stage"]

_PEAKS = {"A100": 312.0, "H100": 989.0, "H200": 989.0, "H800": 989.0, "A800": 312.0, "L40": 181.0, "A10": 125.0}
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
        tflops = next((peak for kind, peak in _PEAKS.items() if kind in name), tflops)
    fitting = max(number for number in range(1, processes + 1) if micro_batches % number == 0)
    return Device(
        name=name,
        processes=int(wanted["processes"] or fitting),
        memory=1e9 * float(wanted["device_gb"] or gigabytes),
        tflops=float(wanted["tflops"] or tflops),
        mfu=float(wanted["mfu"]),
    )


def zero_stage(config: object) -> int:
    """Return the stage of ZeRO that `deepspeed.config` asks for; 0 without DeepSpeed."""
    if isinstance(config, Mapping):
        return int(config.get("zero_optimization", {}).get("stage", 0))
    return next((stage for stage in (1, 2, 3) if isinstance(config, str) and f"zero{stage}" in config), 0)


@dataclass(frozen=True)
class RunPlan:
    """A run before it is started.

    Attributes:
        config: Sections and root keys of the configuration as plain values.
        model: What is trained.
        load: What is computed.
        device: On what.
    """

    config: Mapping[str, Any]
    model: ModelPlan
    load: LoadPlan
    device: Device

    @property
    def checkpointing(self) -> bool:
        """Whether the configuration asks for activations to be computed twice."""
        own = self.config["training"]["gradient_checkpointing"]
        return bool(self.config["model"]["gradient_checkpointing"] if own is None else own)

    @property
    def setting(self) -> Setting:
        """Precision and sharding."""
        dtype, bf16 = str(self.config["model"]["torch_dtype"]), self.config["training"]["bf16"]
        return Setting(
            dtype=dtype,
            bf16=dtype == "bfloat16" if bf16 is None else bool(bf16),
            adapter_inputs=self.model.adapter_inputs,
            dropout=float(self.config["tuner"]["lora_dropout"]) if self.model.is_adapter else 0.0,
            attention=str(self.config["model"]["attn_impl"]),
            zero=zero_stage(self.config["deepspeed"]["config"]),
            processes=self.device.processes,
        )

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
        """Whether activations have to be computed twice, because the largest batch does not fit when they are kept."""
        return self.spare(checkpointing=False) < 0

    def hours(self, *, checkpointing: bool) -> float:
        """Return hours of computing; scoring, saving and waiting for data come on top."""
        _, _, waited = self.load.epoch_flops(self.model.architecture, self.model.tuning(checkpointing=checkpointing))
        epochs = self.load.steps / self.load.steps_per_epoch
        return waited * epochs / (self.device.processes * self.device.tflops * 1e12 * self.device.mfu) / 3600

    def step_flops(self, *, checkpointing: bool) -> float:
        """Return operations of one optimiser step over all devices."""
        _, done, _ = self.load.epoch_flops(self.model.architecture, self.model.tuning(checkpointing=checkpointing))
        return done / self.load.steps_per_epoch

    @property
    def checkpoint_bytes(self) -> tuple[int, int]:
        """Size of the weights of one checkpoint, and of the whole of it."""
        weights = self.model.weight_file_bytes(str(self.config["model"]["torch_dtype"]))
        rest = tokenizer_bytes(self.model.architecture.text.vocabulary)
        if not self.config["training"]["save_only_model"]:
            rest += optimizer_bytes(self.model.weights.trained, zero=self.setting.zero)
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
