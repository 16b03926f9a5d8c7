"""A file with a part of a model's weights: a training of that part writes it, later uses put it into the base model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qvl.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["BASE", "PART_NAME", "base_of_part", "holds_part", "names_of_part", "put_part", "write_part"]

PART_NAME: Final = "trained_weights.safetensors"
"""The file in the folder of a checkpoint; no program takes it for a model: there is no `config.json` beside it."""

BASE: Final = "base_model_name_or_path"
"""What the header of the file calls the model that the other weights are those of."""


def holds_part(folder: Path) -> bool:
    """Return whether a checkpoint holds a part of a model, and not the whole or an adapter."""
    return (folder / PART_NAME).is_file()


def write_part(folder: Path, values: Mapping[str, torch.Tensor], *, base: str) -> None:
    """Write weights.

    Args:
        folder: Where to.
        values: By the names of the parameters of the model; no two share memory.
        base: Folder or id of the model that the other weights are those of.
    """
    from safetensors.torch import save_file

    metadata = {BASE: base}  # one entry: of several the order would change from file to file
    save_file({name: value.detach().contiguous() for name, value in values.items()}, folder / PART_NAME, metadata)


def base_of_part(folder: Path) -> str:
    """Return the folder or id of the model that a part belongs to.

    Raises:
        CheckpointError: The file cannot be read, or says nothing of it.
    """
    with _opened(folder) as file:
        metadata = file.metadata() or {}
    if BASE not in metadata:
        raise CheckpointError(f"{folder / PART_NAME}: does not say which model it belongs to ({BASE})")
    return str(metadata[BASE])


def names_of_part(folder: Path) -> frozenset[str]:
    """Return the names of the weights of a part.

    Raises:
        CheckpointError: The file cannot be read.
    """
    with _opened(folder) as file:
        return frozenset(file.keys())


def put_part(folder: Path, model: nn.Module, *, exactly: Collection[str] | None = None) -> None:
    """Put the weights of a part into a model, each rounded to the type that it has there.

    Args:
        folder: Of the checkpoint.
        model: With the weights of the base; it is changed.
        exactly: Names of the weights that have to be there, without rounding; None: any that the model has.

    Raises:
        CheckpointError: The file cannot be read, or has other names, shapes or types.
    """
    import torch

    path, places = folder / PART_NAME, dict(model.named_parameters())
    with _opened(folder) as file:
        held = set(file.keys())
        if odd := sorted(held - places.keys() if exactly is None else held ^ set(exactly)):
            raise CheckpointError(f"{path}: holds other weights than the model here: {odd[0]} and {len(odd) - 1} more")
        targets = {name: places[name] for name in sorted(held)}
        for name, target in targets.items():
            _check_place(path, name, file.get_slice(name), target, exact=exactly is not None)
        with torch.no_grad(), _whole(targets.values()):
            for name, target in targets.items():
                target.copy_(file.get_tensor(name))


def _check_place(path: Path, name: str, held: Any, target: nn.Parameter, *, exact: bool) -> None:
    shape = tuple(target.ds_shape if _is_sharded(target) else target.shape)
    if tuple(held.get_shape()) != shape:
        raise CheckpointError(f"{path}: {name} has shape {tuple(held.get_shape())}, in the model here {shape}")
    if target.is_meta:
        raise CheckpointError(f"{path}: {name} cannot be put into a model that is not in memory; let it have a device")
    here, there = _TYPES.get(held.get_dtype(), held.get_dtype()), str(target.dtype).removeprefix("torch.")
    if here not in _TYPES.values() or (exact and here != there):
        raise CheckpointError(
            f"{path}: {name} is {here}, here {there} is trained; go on as the run was begun, with the same model, "
            f"torch_dtype and deepspeed"
        )


_TYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@contextmanager
def _opened(folder: Path) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    path = folder / PART_NAME
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


@contextmanager
def _whole(weights: Iterable[nn.Parameter]) -> Iterator[None]:
    """Gather weights for a while of which DeepSpeed gives each process a share."""
    if not (sharded := [weight for weight in weights if _is_sharded(weight)]):
        yield
        return
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters(sharded, modifier_rank=0):
        yield


def _is_sharded(weight: nn.Parameter) -> bool:
    return hasattr(weight, "ds_shape")
