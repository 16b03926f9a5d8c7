"""What a configuration asks of the machine that it runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omegaconf import DictConfig, OmegaConf

from qvl.machine import (
    Checkpoints,
    HubState,
    MachineFinding,
    Needs,
    Required,
    cached_folder,
    checkpoint_bytes,
    find_faults,
    gather,
    hub_state,
    room_bytes,
    weights_bytes,
)

__all__ = ["Place", "find_machine_faults"]

_CHECKED: Final = ("evaluate", "infer", "train")
"""Verbs that load the weights of a model onto a device."""

_PACKAGES: Final = {
    "deepspeed.config": Required("deepspeed.config", "deepspeed", 'pip install -e ".[deepspeed]", or deepspeed=none'),
    "training.use_liger_kernel": Required(
        "training.use_liger_kernel",
        "liger-kernel",
        "pip install liger-kernel, or training.use_liger_kernel=false",
        needs_gpu=True,
    ),
}
"""What keys need where they are neither null nor false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run will be.

    Attributes:
        folder: Takes its checkpoints; None where that is not known yet.
        devices: Pool of the launcher, in the place of CUDA_VISIBLE_DEVICES; None for that.
        has_launcher: Whether a launcher gives each process a device.
        is_elsewhere: Whether it will be on another machine.
    """

    folder: str | None
    devices: str | None = None
    has_launcher: bool = False
    is_elsewhere: bool = False


def find_machine_faults(cfg: DictConfig, place: Place, *, verb: str) -> list[MachineFinding]:
    """Return what this machine lacks for a run, errors first; [] for a verb that loads no weights.

    Args:
        cfg: Composed and checked configuration, without missing values.
        place: Where it will be.
        verb: Such as train.
    """
    if verb not in _CHECKED or (verb == "evaluate" and cfg.predictions is not None):
        return []
    processes = None if place.has_launcher else int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    needs = _training(cfg, processes, place.folder) if verb == "train" else _asking(cfg, processes)
    return find_faults(gather(devices=place.devices), needs)


def _training(cfg: DictConfig, processes: int | None, folder: str | None) -> Needs:
    half_key = "training.bf16" if cfg.training.bf16 else None
    if cfg.training.bf16 is None and cfg.model.torch_dtype == "bfloat16":
        half_key = "model.torch_dtype"
    return Needs(
        processes=processes,
        half_key=half_key,
        half=half_key is not None,
        attention_key="model.attn_impl",
        attention=cfg.model.attn_impl,
        required=[required for key, required in _PACKAGES.items() if OmegaConf.select(cfg, key)],
        weights=_hub({"model.path": cfg.model.path}),
        disk=None if folder is None else _checkpoints(cfg, Path(folder)),
    )


def _asking(cfg: DictConfig, processes: int | None) -> Needs:
    uses_vllm = cfg.engine == "vllm"
    advice = 'pip install -e ".[vllm]", or engine=transformers'
    return Needs(
        processes=processes,
        each_has_one=True,
        device=cfg.device_map,
        half_key="torch_dtype" if cfg.torch_dtype == "bfloat16" else None,
        half=cfg.torch_dtype != "float32",
        attention=None if uses_vllm else cfg.attn_impl,
        required=[Required("engine", "vllm", advice)] if uses_vllm else [],
        weights=_hub({"model.path": cfg.model.path, "model.base": cfg.model.base}),
    )


def _hub(paths: dict[str, str | None]) -> dict[tuple[str, str], HubState]:
    """Return what is known of the models that are named by the id of a hub."""
    return {(key, path): hub_state(path) for key, path in paths.items() if path and _is_id(path)}


def _is_id(path: str) -> bool:
    return not (path.startswith(("qvl://", "/", ".", "~")) or Path(path).is_dir())


def _checkpoints(cfg: DictConfig, folder: Path) -> Checkpoints | None:
    """Return what the checkpoints will take; None where none are saved, or the size of the weights is not known."""
    training, tuner = cfg.training, cfg.tuner
    path = cached_folder(cfg.model.path) if _is_id(cfg.model.path) else Path(cfg.model.path)
    weights = weights_bytes(path) if path is not None else None
    if weights is None or training.save_strategy == "no":
        return None
    is_full = tuner.tuner_type == "full"
    size = checkpoint_bytes(
        weights,
        is_whole=is_full and (training.save_whole_model or not tuner.freeze_llm),
        trains_all=is_full and not tuner.freeze_llm,
        trains_aligner=not tuner.freeze_aligner if is_full else bool(tuner.modules_to_save),
        optimiser=not training.save_only_model,
    )
    most = 1 if training.save_total_limit is None else training.save_total_limit + 1  # one more while it is written
    saves = training.max_steps // training.save_steps if training.save_strategy == "steps" else 1
    return Checkpoints(size, min(max(saves, 1), most), most, room_bytes(folder), str(folder))
