"""Our configuration in ms-swift's argument names."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qvl.errors import ConfigError
from qvl.metrics import higher_is_better
from qvl.runtime.distributed import rank_from_environment
from qvl.training.job import TrainingJob

if TYPE_CHECKING:
    from swift.arguments import SftArguments

__all__ = ["accumulation_steps", "sft_arguments"]

_OWN_TRAINING_KEYS = ("effective_batch_size", "extra", "trainer", "raw_patches", "resume_from_checkpoint")
_LORA_KEYS = (
    "target_modules",
    "target_parameters",
    "modules_to_save",
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "use_dora",
)


def accumulation_steps(effective: int, per_device: int, world_size: int) -> int:
    """Return the micro steps of one optimiser step.

    Raises:
        ConfigError: The effective batch cannot be made of whole micro batches on all devices.
    """
    per_micro_step = per_device * world_size
    if effective < per_micro_step or effective % per_micro_step:
        lower = max(effective // per_micro_step, 1) * per_micro_step
        raise ConfigError(
            f"training.effective_batch_size={effective} is not a multiple of per_device_train_batch_size={per_device} "
            f"x {world_size} processes = {per_micro_step}; possible nearby: {lower}, {lower + per_micro_step}"
        )
    return effective // per_micro_step


def sft_arguments(job: TrainingJob) -> SftArguments:
    """Return ms-swift's arguments for a run.

    Raises:
        ConfigError: `training.extra` holds a name that ms-swift does not know or that qvl sets itself.
    """
    import torch
    from swift.arguments import SftArguments

    extra = job.training["extra"]
    if not isinstance(extra, Mapping):
        raise ConfigError(f"training.extra must be a mapping, got {extra!r}")
    values = {**_model_values(job), **_tuner_values(job), **_training_values(job), **_fixed_values(job)}
    values["resume_from_checkpoint"] = None  # found when the processes can talk to each other
    values["use_cpu"] = not torch.cuda.is_available()
    values["dataloader_pin_memory"] = torch.cuda.is_available()
    check_extra(extra, known={item.name for item in dataclasses.fields(SftArguments)}, taken=values)
    return SftArguments(**values, **extra)


def _model_values(job: TrainingJob) -> dict[str, object]:
    return {
        "model": job.model["path"],
        "model_type": job.model["model_type"],
        "torch_dtype": job.model["torch_dtype"],
        "attn_impl": job.model["attn_impl"],
        "fp16": False,
        "max_length": job.max_length,
    }


def _tuner_values(job: TrainingJob) -> dict[str, object]:
    if job.tuner["tuner_type"] != "full":
        # DeepSpeed wants weights of one type; it trains float32 copies of them all the same
        one_type = {"lora_dtype": job.model["torch_dtype"]} if job.config["deepspeed"]["config"] else {}
        weights = list(job.tuner.get("target_parameters", ())) or None  # an empty list is one to upstream, and fails
        return {**job.tuner, "target_parameters": weights, **one_type}
    return {key: value for key, value in job.tuner.items() if key not in _LORA_KEYS}


def _training_values(job: TrainingJob) -> dict[str, object]:
    values = {key: value for key, value in job.training.items() if key not in _OWN_TRAINING_KEYS}
    if values["bf16"] is None:
        values["bf16"] = job.model["torch_dtype"] == "bfloat16"
    if values["gradient_checkpointing"] is None:
        values["gradient_checkpointing"] = job.model["gradient_checkpointing"]
    values["greater_is_better"] = higher_is_better(str(values["metric_for_best_model"]))
    values["gradient_accumulation_steps"] = accumulation_steps(
        _integer(job.training, "effective_batch_size"),
        _integer(job.training, "per_device_train_batch_size"),
        rank_from_environment().world_size,
    )
    return values


def _fixed_values(job: TrainingJob) -> dict[str, object]:
    """Values that are decided by the design, see docs/upstream.md."""
    return {
        "dataset": [part.rows.path for part in job.train.parts],  # must not be empty; never loaded
        "val_dataset": [part.rows.path for part in job.val.parts],
        "enable_channel_loss": len(job.train.parts) > 1,  # the loss of each source in the log
        "output_dir": str(job.output_dir),
        "logging_dir": str(job.output_dir / "tensorboard"),
        "deepspeed": job.config["deepspeed"]["config"],
        "seed": job.config["seed"],
        "data_seed": job.config["seed"],
        "report_to": ["tensorboard"],
        "truncation_strategy": "delete",  # "raise" inside encode; rows are checked before
        "train_dataloader_shuffle": False,  # the data set has the order of the epoch
        "dataloader_persistent_workers": False,  # they would change the random state of a resumed run
        "ddp_find_unused_parameters": False,  # every weight takes part in every step, see `reach_all_weights`
        "disable_tqdm": True,
        "check_model": False,
        "use_hf": True,  # an id in model.path is one of the Hugging Face hub
        "add_version": False,
        "create_checkpoint_symlink": False,
        "resume_only_model": False,
        "split_dataset_ratio": 0.0,
        "load_from_cache_file": False,
    }


def check_extra(extra: Mapping[str, Any], *, known: set[str], taken: Mapping[str, Any]) -> None:
    for key in extra:
        if key in taken:
            raise ConfigError(f"training.extra.{key}: qvl sets this argument itself, leave it out")
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=3)
            raise ConfigError(
                f"training.extra.{key}: ms-swift has no such argument; nearest: {', '.join(near) or 'none'}"
            )


def _integer(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if not isinstance(value, int):
        raise ConfigError(f"training.{key} must be an integer, got {value!r}")
    return value
