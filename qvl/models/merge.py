"""A whole model of what a training left and its base model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qvl.data import Contract, model_digest
from qvl.errors import CheckpointError, ConfigError
from qvl.models.resolve import resolve_model
from qvl.models.select import ADAPTER
from qvl.runtime import hub_layout, quiet_loading
from qvl.runtime.part import base_of_part, holds_part, put_part

__all__ = ["DTYPES", "MergeReport", "find_base", "locate_base", "merge_adapter", "merge_part"]

DTYPES = ("auto", "float32", "bfloat16", "float16")

_NEW_WEIGHTS = "qvl://tiny-random"

Inputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How far merged weights answer like those that were trained.

    Attributes:
        difference: Largest difference of a logit between adapter and merged weights, in float32 on the CPU, as a share
            of the largest logit; 0 for weights that take the places of others, where nothing is added up.
        written_difference: The same for the weights as they were written and read again.
        largest: Largest absolute logit.
        dtype: In which the weights were written.
    """

    difference: float
    written_difference: float
    largest: float
    dtype: str


def find_base(checkpoint: Path, contract: Contract, *, base: str | None = None) -> str:
    """Return the model that an adapter or a part of a model belongs to, its files compared with those of the training.

    Args:
        checkpoint: Folder of the adapter or of the part.
        contract: Of the same.
        base: Folder or id that the user names; None: what the checkpoint names.

    Raises:
        CheckpointError: It is not there, or its files are not those that were trained on.
        ConfigError: `base` leads nowhere.
    """
    found = locate_base(checkpoint, contract, base=base)
    if contract.base_digest and Path(found).is_dir() and (digest := model_digest(Path(found))) != contract.base_digest:
        raise CheckpointError(
            f"{checkpoint}: was trained on a model with digest {contract.base_digest}, {found} has {digest}; "
            f"name the right one by base="
        )
    return found


def locate_base(checkpoint: Path, contract: Contract, *, base: str | None = None) -> str:
    """Return the same without a look into its files.

    Args:
        checkpoint: As of `find_base`.
        contract: As of `find_base`.
        base: As of `find_base`.

    Raises:
        CheckpointError: It is not there.
        ConfigError: `base` leads nowhere.
    """
    named = base or _named_base(checkpoint)
    if base is None and not Path(named).is_dir() and contract.base_model:
        named = contract.base_model  # the checkpoint has moved; the shipped model and those of a hub are everywhere
    if named == _NEW_WEIGHTS:
        raise CheckpointError(
            f"{checkpoint}: its base model were new weights in the folder of its run, name it by base="
        )
    try:
        return resolve_model(named, run_folder=checkpoint, prompts=(), seed=0)
    except ConfigError as error:
        raise CheckpointError(f"{checkpoint}: its base model is not at hand, name it by base=: {error}") from error


def _named_base(checkpoint: Path) -> str:
    if holds_part(checkpoint):
        return base_of_part(checkpoint)
    config = json.loads((checkpoint / ADAPTER).read_text(encoding="utf-8"))
    return str(config["base_model_name_or_path"])


def merge_adapter(
    checkpoint: Path, out: Path, *, base: str, probes: Sequence[Inputs], dtype: str, tolerance: float
) -> MergeReport:
    """Write a whole model: LoRA or DoRA added to the weights, and the modules that were trained as a whole.

    The arithmetic is done in float32 on the CPU: four bytes a parameter, twice while the result is read again.

    Args:
        checkpoint: Folder of the adapter.
        out: Folder to write weights and configuration into.
        base: Folder or id of its base model.
        probes: Inputs of forward passes to compare; at least one.
        dtype: One of `DTYPES`; `auto`: that of the base model.
        tolerance: Largest difference of a logit that is allowed, as a share of the largest logit. Rounding alone makes
            about 2e-6.

    Raises:
        CheckpointError: The merged model answers otherwise than the adapter.
        ValueError: `dtype` is none of these, or there are no probes.
    """
    from peft import PeftModel

    target = _target(dtype, base, probes)
    with quiet_loading():
        plain = _in_float32(base)
        kept = plain.generation_config
        adapted = PeftModel.from_pretrained(plain, str(checkpoint)).eval()
    before = _logits(adapted, probes)
    merged = adapted.merge_and_unload(safe_merge=True).eval()
    difference = _largest_difference(before, _logits(merged, probes))
    _require(difference, tolerance, f"{checkpoint}: merged weights")
    _untie(merged)
    merged.generation_config = kept
    _write(merged, out, target)
    del merged, adapted, plain
    written = _written_difference(out, before, probes, allowed=tolerance if target == "float32" else None)
    return MergeReport(difference, written, _largest(before), target)


def merge_part(
    checkpoint: Path, out: Path, *, base: str, probes: Sequence[Inputs], dtype: str, tolerance: float
) -> MergeReport:
    """Write a whole model: trained weights in the places of those of the base.

    Args:
        checkpoint: Folder of the part.
        out: As of `merge_adapter`.
        base: As of `merge_adapter`.
        probes: As of `merge_adapter`.
        dtype: As of `merge_adapter`. With the type of the base, the written weights are those that the checkpoint makes
            of a model in memory, bit for bit.
        tolerance: As of `merge_adapter`.

    Raises:
        CheckpointError: The part does not fit, or the written model answers otherwise than it does in memory.
        ValueError: As of `merge_adapter`.
    """
    target = _target(dtype, base, probes)
    with quiet_loading():
        model = _in_float32(base)
    put_part(checkpoint, model)
    before = _logits(model, probes)
    _write(model, out, target)
    del model
    written = _written_difference(out, before, probes, allowed=tolerance if target == "float32" else None)
    return MergeReport(0.0, written, _largest(before), target)


def _target(dtype: str, base: str, probes: Sequence[Inputs]) -> str:
    if dtype not in DTYPES or not probes:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)} and probes not empty, got {dtype!r}, {len(probes)}")
    return _dtype_of(base) if dtype == "auto" else dtype


def _in_float32(path: str | Path) -> Any:
    import torch
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32, trust_remote_code=False).eval()


def _write(model: Any, out: Path, target: str) -> None:
    import torch

    with quiet_loading(), hub_layout(model):
        _in_type(model, getattr(torch, target)).save_pretrained(out)


def _written_difference(out: Path, before: Sequence[Any], probes: Sequence[Inputs], *, allowed: float | None) -> float:
    """Read what was written and compare its logits; None allows any difference, as rounding makes it."""
    with quiet_loading():
        again = _in_float32(out)
    written = _largest_difference(before, _logits(again, probes))
    if allowed is not None:
        _require(written, allowed, f"{out}: weights as they were written")
    return written


def _require(difference: float, tolerance: float, what: str) -> None:
    if not difference <= tolerance:  # NaN is refused too
        raise CheckpointError(
            f"{what} answer otherwise than what was trained: a logit differs by {difference:.3g} of the largest one, "
            f"{tolerance:g} is allowed"
        )


def _logits(model: Any, probes: Sequence[Inputs]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(**dict(probe)).logits for probe in probes]


def _largest_difference(one: Sequence[Any], two: Sequence[Any]) -> float:
    """Return the largest difference, as a share of the largest logit."""
    most = max(float((first - second).abs().max()) for first, second in zip(one, two, strict=True))
    return most / _largest(one)


def _largest(logits: Sequence[Any]) -> float:
    return max(float(item.abs().max()) for item in logits)


def _in_type(model: Any, dtype: Any) -> Any:
    """Return the model in a type that all parts of its configuration name: servers read that of the language model."""
    for name in model.config.sub_configs:
        getattr(model.config, name).dtype = dtype
    return model.to(dtype)


def _untie(model: Any) -> None:
    """Say so in the configuration if input and output embeddings were trained apart; loading would tie them again."""
    inside, outside = model.get_input_embeddings(), model.get_output_embeddings()
    if outside is None or inside.weight is outside.weight:
        return
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = False


def _dtype_of(base: str) -> str:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base, trust_remote_code=False)
    dtype = config.dtype or config.get_text_config().dtype
    return "float32" if dtype is None else str(dtype).removeprefix("torch.")
