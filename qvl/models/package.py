"""A checkpoint as a folder to hand on: what is needed to use it, and nothing of its training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qvl.data import STATE_AND_NOTES, Contract, TurnFormat, write_contract
from qvl.errors import CheckpointError, ConfigError
from qvl.models.card import SYSTEM_FILE, USER_FILE
from qvl.models.select import ChosenCheckpoint
from qvl.runtime.checkpoint import seal
from qvl.runtime.files import discard, replace_folder, write_text

__all__ = ["copy_weights", "finish", "staged", "write_processor"]

_CARD = "README.md"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Give a hidden folder that becomes `out` when the block ends well, and is gone when it does not.

    Raises:
        ConfigError: `out` exists, or the folder that it is to lie in does not.
    """
    if out.exists() or out.is_symlink():
        raise ConfigError(f"out: {out} exists already; nothing is overwritten, name another folder")
    if not out.parent.is_dir():
        raise ConfigError(f"out: {out}: there is no folder {out.parent}")
    staging = out.with_name(f".staging-{out.name}")
    discard(staging)
    staging.mkdir()
    try:
        yield staging
        if out.exists():
            raise ConfigError(f"out: {out} was made by somebody else in the meantime")
        replace_folder(staging, out)
    finally:
        discard(staging)


def copy_weights(chosen: ChosenCheckpoint, staging: Path) -> None:
    """Copy a checkpoint without the state of its training.

    Raises:
        CheckpointError: There are no weights in it.
    """
    shutil.copytree(chosen.folder, staging, ignore=shutil.ignore_patterns(*STATE_AND_NOTES), dirs_exist_ok=True)
    if not any(staging.glob("*.safetensors")):
        raise CheckpointError(f"{chosen.folder}: holds no weights (*.safetensors)")


def write_processor(source: str, staging: Path, form: TurnFormat) -> Any:
    """Write tokenizer, chat template and picture processor; the processor knows the sizes of training.

    Args:
        source: Folder or id of the model whose processor it is.
        staging: Where to write.
        form: How pictures are shown.

    Returns:
        The processor.
    """
    from transformers import AutoProcessor

    processor: Any = AutoProcessor.from_pretrained(source, trust_remote_code=False)
    size = type(processor.image_processor.size)
    limits = {"shortest_edge": form.min_pixels, "longest_edge": form.max_pixels}
    processor.image_processor.size = size(**limits)
    processor.save_pretrained(staging)
    return processor


def finish(staging: Path, contract: Contract, *, card: str, step: int) -> None:
    """Write contract, prompts and card, and seal the folder as a checkpoint is sealed."""
    write_contract(staging, contract)
    write_text(staging / SYSTEM_FILE, contract.system)
    write_text(staging / USER_FILE, contract.user)
    write_text(staging / _CARD, card)
    seal(staging, step=step)
