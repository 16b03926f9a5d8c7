"""What a training starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qvl.data import load_contract
from qvl.errors import CheckpointError, ConfigError
from qvl.models.merge import locate_base
from qvl.models.resolve import resolve_model
from qvl.models.select import ADAPTER, CONFIG, choose_checkpoint
from qvl.runtime.part import holds_part

__all__ = ["Start", "find_start"]


@dataclass(frozen=True, slots=True)
class Start:
    """Weights that a training starts from.

    Attributes:
        path: Folder or id of a whole model.
        part: Checkpoint whose weights take the places of those of the model; None for none.
        base_model: What the model is called that the training stands on, for people and for other machines.
    """

    path: str
    part: Path | None
    base_model: str


def find_start(path: str, *, run_folder: Path, prompts: Sequence[str], seed: int) -> Start:
    """Turn `model.path` into weights to start from.

    Args:
        path: As of `qvl.models.resolve_model`; also a checkpoint with a part of a model, or the folder of a run, of
            which the best checkpoint is taken. Such a checkpoint is compared with its manifest.
        run_folder: As of `resolve_model`.
        prompts: As of `resolve_model`.
        seed: As of `resolve_model`.

    Raises:
        CheckpointError: A checkpoint is damaged, or its base model is not at hand.
        ConfigError: There is no such model, or it is an adapter.
    """
    found = resolve_model(path, run_folder=run_folder, prompts=prompts, seed=seed)
    folder = Path(found)
    if not folder.is_dir() or (folder / CONFIG).is_file():
        return Start(found, None, path)
    folder = choose_checkpoint(folder).folder
    if (folder / ADAPTER).is_file():
        raise ConfigError(
            f"model.path: {folder} is an adapter; make a whole model of it by "
            f"`python -m qvl.export checkpoint={folder} merge=true out=FOLDER`, then model.path=FOLDER"
        )
    if not holds_part(folder):
        return Start(str(folder), None, str(folder))
    contract = load_contract(folder)
    try:
        base = locate_base(folder, contract)
    except CheckpointError as error:
        raise CheckpointError(
            f"model.path: {error}\nmake a whole model by `python -m qvl.export checkpoint={folder} base=... "
            f"out=FOLDER`, then model.path=FOLDER"
        ) from error
    return Start(base, folder, contract.base_model)
