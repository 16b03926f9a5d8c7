"""An adapter into the weights of its base model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qvl.data import Contract, model_digest
from qvl.errors import CheckpointError, ConfigError
from qvl.models.resolve import resolve_model
from qvl.runtime import hub_layout

__all__ = ["DTYPES", "MergeReport", "find_base", "merge_adapter"]

DTYPES = ("auto", "float32", "bfloat16", "float16")

_NEW_WEIGHTS = "qvl://tiny-random"

Inputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How far the merged weights answer like the adapter.

    Attributes:
        difference: Largest difference of a logit between adapter and merged weights, in float32 on the CPU, as a share
            of the largest logit.
        written_difference: The same for the weights as they were written and read again.
        largest: Largest absolute logit.
        dtype: In which the weights were written.
    """

    difference: float
    written_difference: float
    largest: float
    dtype: str


def find_base(checkpoint: Path, contract: Contract, *, base: str | None = None) -> str:
    """Return the model that an adapter belongs to.

    Args:
        checkpoint: Folder of the adapter.
        contract: Of the adapter.
        base: Folder or id that the user names; None: what the checkpoint names.

    Raises:
        CheckpointError: It is not there, or its files are not those that the adapter was trained on.
        ConfigError: `base` leads nowhere.
    """
    config = json.loads((checkpoint / "adapter_config.json").read_text(encoding="utf-8"))
    named = base or str(config["base_model_name_or_path"])
    if base is None and not Path(named).is_dir() and contract.base_model:
        named = contract.base_model  # the adapter has moved; the shipped model and those of a hub are everywhere
    if named == _NEW_WEIGHTS:
        raise CheckpointError(
            f"{checkpoint}: its base model were new weights in the folder of its run, name it by base="
        )
    try:
        found = resolve_model(named, run_folder=checkpoint, prompts=(), seed=0)
    except ConfigError as error:
        raise CheckpointError(f"{checkpoint}: its base model is not at hand, name it by base=: {error}") from error
    if contract.base_digest and Path(found).is_dir() and (digest := model_digest(Path(found))) != contract.base_digest:
        raise CheckpointError(
            f"{checkpoint}: was trained on a model with digest {contract.base_digest}, {found} has {digest}; "
            f"name the right one by base="
        )
    return found


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
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, GenerationConfig

    if dtype not in DTYPES or not probes:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)} and probes not empty, got {dtype!r}, {len(probes)}")
    with _quiet():
        plain = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32, trust_remote_code=False)
        kept: GenerationConfig = plain.generation_config
        adapted = PeftModel.from_pretrained(plain, str(checkpoint)).eval()
    before = _logits(adapted, probes)
    merged = adapted.merge_and_unload(safe_merge=True).eval()
    difference = _largest_difference(before, _logits(merged, probes))
    _require(difference, tolerance, f"{checkpoint}: merged weights")
    _untie(merged)
    target = _dtype_of(base) if dtype == "auto" else dtype
    merged.generation_config = kept
    with _quiet(), hub_layout(merged):
        _in_type(merged, getattr(torch, target)).save_pretrained(out)
    with _quiet():
        del merged, adapted, plain
        again = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float32, trust_remote_code=False).eval()
    written = _largest_difference(before, _logits(again, probes))
    if target == "float32":
        _require(written, tolerance, f"{out}: weights as they were written")
    return MergeReport(difference, written, max(float(item.abs().max()) for item in before), target)


def _require(difference: float, tolerance: float, what: str) -> None:
    if not difference <= tolerance:  # NaN is refused too
        raise CheckpointError(
            f"{what} answer otherwise than the adapter: a logit differs by {difference:.3g} of the largest one, "
            f"{tolerance:g} is allowed"
        )


def _logits(model: Any, probes: Sequence[Inputs]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(**dict(probe)).logits for probe in probes]


def _largest_difference(one: Sequence[Any], two: Sequence[Any]) -> float:
    """Return the largest difference, as a share of the largest logit."""
    most = max(float((first - second).abs().max()) for first, second in zip(one, two, strict=True))
    return most / max(float(item.abs().max()) for item in one)


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


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the progress bars and the reports of loading for a while."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
