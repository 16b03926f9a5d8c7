"""Our configuration in ms-swift's argument names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qvl.errors import ConfigError
from qvl.machine import attention_here, has_device
from qvl.metrics import higher_is_better
from qvl.runtime.distributed import cpus_of_process, rank_from_environment
from qvl.training.job import TrainingJob

if TYPE_CHECKING:
    from swift.arguments import SftArguments

__all__ = ["accumulation_steps", "loader_workers", "sft_arguments"]

_OWN_TRAINING_KEYS = (
    *("ddp_timeout_min", "effective_batch_size", "extra", "raw_patches", "resume_from_checkpoint"),
    *("save_whole_model", "trainer"),
)
_MOST_WORKERS = 4
"""Ten times what a process on an A100 needs; each holds pictures in memory."""
_LORA_KEYS = (
    *("target_modules", "target_parameters", "modules_to_save", "lora_rank", "lora_alpha", "lora_dropout", "use_dora"),
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


def loader_workers(cpus: int, *, gpu: bool) -> int:
    """Return how many processes load data for one that trains, where the user did not say.

    Beside a GPU: one a processor, one left for the training itself, at most four. Without a GPU none: the model needs
    the processors. The samples do not depend on it.

    Args:
        cpus: Processors that this process has for itself.
        gpu: Whether it trains on a GPU.
    """
    return min(max(cpus - 1, 0), _MOST_WORKERS) if gpu else 0


def sft_arguments(job: TrainingJob) -> SftArguments:
    """Return ms-swift's arguments for a run; `training.extra` holds none but those of `qvl.schema.EXTRA`.

    Raises:
        ConfigError: Devices that are named cannot be used.
    """
    from swift.arguments import SftArguments

    values = {**_model_values(job), **_tuner_values(job), **_training_values(job), **_fixed_values(job)}
    values["resume_from_checkpoint"] = None  # found when the processes can talk to each other
    values["dataloader_pin_memory"] = has_device()
    values["use_cpu"] = not has_device()
    if values["dataloader_num_workers"] is None:
        values["dataloader_num_workers"] = loader_workers(cpus_of_process(), gpu=has_device())
    return SftArguments(**values, **_mapping(job.training, "extra"))


def _model_values(job: TrainingJob) -> dict[str, object]:
    return {
        "model": job.model["path"],
        "model_type": job.model["model_type"],
        "torch_dtype": job.model["torch_dtype"],
        "attn_impl": attention_here(str(job.model["attn_impl"]), half=_bf16(job)),
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
    values["bf16"] = _bf16(job)
    if values["gradient_checkpointing"] is None:
        values["gradient_checkpointing"] = has_device()  # switched off later where a plan says that it is not needed
    values["ddp_timeout"] = round(job.training["ddp_timeout_min"] * 60)
    values["greater_is_better"] = higher_is_better(str(values["metric_for_best_model"]))
    values["gradient_accumulation_steps"] = accumulation_steps(
        _integer(job.training, "effective_batch_size"),
        _integer(job.training, "per_device_train_batch_size"),
        rank_from_environment().world_size,
    )
    return values


def _bf16(job: TrainingJob) -> bool:
    """Return whether matrix products are made in bfloat16."""
    bf16 = job.training["bf16"]
    return job.model["torch_dtype"] == "bfloat16" if bf16 is None else bool(bf16)


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


def _integer(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if not isinstance(value, int):
        raise ConfigError(f"training.{key} must be an integer, got {value!r}")
    return value


def _mapping(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = values[key]
    if not isinstance(value, Mapping):
        raise ConfigError(f"training.{key} must be a mapping, got {value!r}")
    return value
