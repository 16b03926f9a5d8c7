"""What a model path means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from qvl.errors import CheckpointError, ConfigError
from qvl.models.tiny import create_tiny_checkpoint
from qvl.runtime.checkpoint import newest_good, resolve_resume
from qvl.runtime.files import locked

__all__ = ["find_resume", "resolve_model"]

_SHIPPED = Path(__file__).parent / "tiny_checkpoint"
_OWN_CODE = "a checkpoint may not bring code of its own"


def resolve_model(path: str, *, run_folder: Path, prompts: Sequence[str], seed: int) -> str:
    """Turn `model.path` into something that ms-swift can load.

    Args:
        path: `qvl://tiny`, the trained checkpoint in the package; `qvl://tiny-random`, the same network with new
            weights; a checkpoint folder; or a hub id.
        run_folder: Where new weights are written.
        prompts: Texts for the tokenizer of new weights.
        seed: Of new weights.

    Raises:
        ConfigError: The name after `qvl://` is unknown, or the folder holds code.
    """
    if path == "qvl://tiny":
        return str(_SHIPPED)
    if path == "qvl://tiny-random":
        return str(_new_weights(run_folder / "random_init", prompts, seed))
    if path.startswith("qvl://"):
        raise ConfigError(f"model.path: unknown name {path!r}; there are qvl://tiny and qvl://tiny-random")
    if Path(path).is_dir():
        _refuse_code(Path(path))
    elif path.startswith(("/", ".", "~")):
        raise ConfigError(f"model.path: no such folder: {path}")
    return path


def _refuse_code(folder: Path) -> None:
    if scripts := sorted(item.name for item in folder.glob("*.py")):
        raise ConfigError(f"model.path: {folder} holds {', '.join(scripts)}; {_OWN_CODE}")
    config = folder / "config.json"
    if config.is_file() and "auto_map" in json.loads(config.read_text(encoding="utf-8")):
        raise ConfigError(f"model.path: {config} has an auto_map; {_OWN_CODE}")


def _new_weights(folder: Path, prompts: Sequence[str], seed: int) -> Path:
    """Write a new tiny checkpoint; the first process of a run does it, the others wait for the lock."""
    with locked(folder):
        if not folder.exists():
            staging = folder.with_name(f".{folder.name}.staging")
            create_tiny_checkpoint(staging, prompts, seed=seed)
            staging.rename(folder)
    return folder


def find_resume(value: str | None, runs: Path) -> Path | None:
    """Turn `training.resume_from_checkpoint` into a verified checkpoint.

    Args:
        value: None, the folder of a checkpoint, or `latest`: the newest good checkpoint of the newest run that has one.
        runs: Folder of the runs of one name; their names begin with the time of their start.

    Raises:
        CheckpointError: There is none, or the one that is named is damaged.
    """
    if value != "latest":
        return resolve_resume(value, Path(value).parent if value else runs)
    for run in sorted((path for path in runs.iterdir() if path.is_dir()), reverse=True):
        if found := newest_good(run):
            return found
    raise CheckpointError(f"training.resume_from_checkpoint=latest: no run in {runs} has a good checkpoint")
