"""`training.extra`: the arguments of ms-swift that can be given beside the keys of qvl, and why others cannot."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from omegaconf import DictConfig

from qvl.schema.groups import ModelConfig, TrainingConfig, TunerConfig
from qvl.schema.keys import advice

__all__ = ["EXTRA", "ExtraKey", "Problem", "extra_problems"]

INFINITE = math.inf


class Problem(NamedTuple):
    """One key whose value cannot be used, and a message without the key."""

    key: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class ExtraKey:
    """One argument that can be given.

    Attributes:
        meaning: What it does.
        kind: `number`, `whole` (number), `switch`, `name` or `mapping`.
        low: Smallest number.
        high: Largest number.
        names: The names that are allowed.
        changes_gradients: Whether the gradients of the first step are other ones with it.
    """

    meaning: str
    kind: str
    low: float = 0.0
    high: float = INFINITE
    names: tuple[str, ...] = ()
    changes_gradients: bool = False

    @property
    def allowed(self) -> str:
        """What a value has to be, in words."""
        if self.kind in ("number", "whole"):
            noun = "number" if self.kind == "number" else "whole number"
            return f"a {noun} from {self.low:g}" + (f" to {self.high:g}" if self.high < INFINITE else "")
        return {"switch": "true or false", "name": f"one of {', '.join(self.names)}", "mapping": "a mapping"}[self.kind]

    def takes(self, value: object) -> bool:
        """Whether a value can be used."""
        match self.kind:
            case "switch":
                return isinstance(value, bool)
            case "name":
                return value in self.names
            case "mapping":
                return isinstance(value, Mapping | DictConfig)
            case _:
                kinds = int if self.kind == "whole" else int | float
                return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high


EXTRA: dict[str, ExtraKey] = {
    "adam_beta1": ExtraKey("decay of the mean of gradients in AdamW; 0.9 unless given", "number", high=0.9999),
    "adam_epsilon": ExtraKey("added to the divisor in AdamW; 1e-8 unless given", "number", low=1e-16, high=1.0),
    "dataloader_prefetch_factor": ExtraKey(
        "batches that each loading process makes ahead; needs training.dataloader_num_workers", "whole", low=1
    ),
    "logging_first_step": ExtraKey("the first step is logged whatever training.logging_steps says", "switch"),
    "lr_scheduler_kwargs": ExtraKey("arguments of the schedule, such as {num_cycles: 2}", "mapping"),
    "neftune_noise_alpha": ExtraKey(
        "uniform noise on the embeddings in training (NEFTune), of at most alpha / sqrt(tokens x width)",
        "number",
        changes_gradients=True,
    ),
    "optim": ExtraKey(
        "the optimiser; all keep float32 state", "name", names=("adamw_torch_fused", "adamw_torch", "sgd")
    ),
    "torch_compile_backend": ExtraKey(
        "what training.torch_compile compiles with", "name", names=("inductor", "aot_eager", "eager")
    ),
    "torch_empty_cache_steps": ExtraKey("steps between two times that unused GPU memory is freed", "whole", low=1),
    "use_rslora": ExtraKey("adapters are scaled by alpha / sqrt(rank)", "switch", changes_gradients=True),
    "vit_gradient_checkpointing": ExtraKey(
        "training.gradient_checkpointing for the vision encoder alone; as that unless given", "switch"
    ),
    "warmup_steps": ExtraKey("steps in which the rates rise; needs training.warmup_ratio=0", "whole", low=1),
}
"""Arguments that can be given, by name. None changes rows of a step, labels, or how the loss is averaged."""

_HOMES: dict[str, str] = {
    "data_seed": "seed",
    "ddp_timeout": "training.ddp_timeout_min",
    "deepspeed": "the group deepspeed",
    "eval_on_start": "evaluation.before_training",
    "fp16": "model.torch_dtype",
    "group_by_length": "data.batching=grouped",
    "lora_target_modules": "tuner.target_modules",
    "max_epochs": "training.num_train_epochs",
    "model": "model.path",
    "seed": "seed",
    "system": "prompts.system",
    **{field.name: f"model.{field.name}" for field in dataclasses.fields(ModelConfig)},
    **{field.name: f"tuner.{field.name}" for field in dataclasses.fields(TunerConfig)},
    **{field.name: f"training.{field.name}" for field in dataclasses.fields(TrainingConfig)},
}
"""Arguments that have a key of their own here."""

_RUNS_CODE = "it runs a file of Python; write a class and name it in trusted_targets"
_OTHER_LOSS = "the loss is the cross entropy over the labelled tokens, in training as in evaluation"
_QUANTISED = "a base model in fewer than 16 bits is not supported"

REFUSED: dict[str, str] = {
    "average_tokens_across_devices": "the loss is the mean over the labelled tokens of all processes",
    "custom_register_path": _RUNS_CODE,
    "dataloader_drop_last": "every row is trained on in every epoch",
    "enable_dft_loss": _OTHER_LOSS,
    "external_plugins": _RUNS_CODE,
    "label_smoothing_factor": (
        "ms-swift would compare the prediction of each token with the token before the right one, and average "
        "micro steps in place of tokens"
    ),
    "lora_dtype": (
        "adapters are float32 while they are trained, without float32 copies of their inputs; training.bf16 sets "
        "the type of their products"
    ),
    "loss_scale": f"{_OTHER_LOSS}, and every one counts the same",
    "loss_type": _OTHER_LOSS,
    "padding_free": "batches are padded, rows are never joined",
    "quant_bits": _QUANTISED,
    "quant_method": _QUANTISED,
    "router_aux_loss_coef": (
        "ms-swift would add that loss once a micro step and process, so that it would weigh more with more of them"
    ),
    "sequence_parallel_size": "every process has samples of its own",
    "trust_remote_code": "code that comes with a checkpoint is never run",
}
"""Arguments that cannot be given, and why."""


def extra_problems(cfg: DictConfig) -> Iterator[Problem]:
    """Yield what cannot work in `training.extra` of a complete configuration."""
    for name, value in cfg.training.extra.items():
        if fault := _fault(str(name), value) or _needs(cfg, str(name)):
            yield Problem(f"training.extra.{name}", fault)


def _fault(name: str, value: object) -> str | None:
    if name in EXTRA:
        return None if EXTRA[name].takes(value) else f"{value!r} cannot be used, it has to be {EXTRA[name].allowed}"
    if name in REFUSED:
        return f"is refused: {REFUSED[name]}"
    if name in _HOMES:
        return f"has a place of its own; use {_HOMES[name]}"
    if retired := advice(name):
        return f"is retired: {retired}"
    close = difflib.get_close_matches(name, EXTRA, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"is not among the arguments that can be given here: {', '.join(EXTRA)}{meant}"


def _needs(cfg: DictConfig, name: str) -> str | None:
    """Return which other key has to be set first; None if none."""
    training = cfg.training
    if name == "dataloader_prefetch_factor" and not training.dataloader_num_workers:
        return "needs training.dataloader_num_workers of at least 1"
    if name == "warmup_steps" and training.warmup_ratio:
        return f"needs training.warmup_ratio=0, it is {training.warmup_ratio:g}"
    if name == "torch_compile_backend" and not training.torch_compile:
        return "needs training.torch_compile=true"
    if name == "use_rslora" and cfg.tuner.tuner_type == "full":
        return "means nothing to tuner_type full; choose tuner=llm_lora"
    return None
