"""Which weights a recipe trains: said in advance, compared afterwards."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qvl.errors import HealthError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["check_trainable", "component", "expected_trainable"]

_ALIGNER = ("model.visual.merger.", "model.visual.deepstack_merger_list.")
_VIT = "model.visual."
_LORA_PARTS = ("lora_A.default.weight", "lora_B.default.weight")
_DORA_PART = "lora_magnitude_vector.default.weight"


def expected_trainable(model: nn.Module, tuner: Mapping[str, Any]) -> set[str]:
    """Return the names of all parameters that a tuner trains, before it is applied.

    Args:
        model: The bare Qwen3-VL.
        tuner: Keys of the group `tuner`.

    Returns:
        Names as `named_parameters` of the prepared model has them.

    Raises:
        HealthError: `modules_to_save` or `target_modules` names no module.
    """
    parameters = [name for name, _ in model.named_parameters()]
    if tuner["tuner_type"] == "full":
        return {name for name in parameters if not tuner[f"freeze_{component(name)}"]}
    saved = _strings(tuner, "modules_to_save")
    _check_modules(saved, (name for name, _ in model.named_modules()), "modules_to_save")
    names = {
        f"base_model.model.{module}.modules_to_save.default{name.removeprefix(module)}"
        for module in saved
        for name in parameters
        if name.startswith(f"{module}.")
    }
    adapted = [module for module in _adapted_linears(model, tuner) if not _inside(module, saved)]
    parts = (*_LORA_PARTS, _DORA_PART) if tuner["use_dora"] else _LORA_PARTS
    return names | {f"base_model.model.{module}.{part}" for module in adapted for part in parts}


def check_trainable(model: nn.Module, expected: set[str]) -> None:
    """Compare what a prepared model trains with what the recipe says.

    Raises:
        HealthError: The sets differ; the text lists both differences.
    """
    actual = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    if actual == expected:
        return
    raise HealthError(
        "the model does not train what the recipe says:\n"
        f"  not trained, but asked for: {_listing(expected - actual)}\n"
        f"  trained, but not asked for: {_listing(actual - expected)}"
    )


def component(name: str) -> str:
    """Return the part of the model that a weight belongs to: llm, vit or aligner."""
    if name.startswith(_ALIGNER):
        return "aligner"
    return "vit" if name.startswith(_VIT) else "llm"


def _adapted_linears(model: nn.Module, tuner: Mapping[str, Any]) -> list[str]:
    """Return the linear layers of the unfrozen parts that `target_modules` selects; the head is never adapted."""
    from torch import nn

    targets = _strings(tuner, "target_modules")
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name != "lm_head"]
    if targets != ["all-linear"]:
        _check_modules(targets, linears, "target_modules")
        linears = [name for name in linears if any(name == t or name.endswith(f".{t}") for t in targets)]
    return [name for name in linears if not tuner[f"freeze_{component(f'{name}.weight')}"]]


def _check_modules(wanted: list[str], known: Iterable[str], key: str) -> None:
    names = [name for name in known if name]
    for module in wanted:
        if not any(name == module or name.endswith(f".{module}") for name in names):
            near = difflib.get_close_matches(module, names, n=3, cutoff=0.5)
            raise HealthError(f"tuner.{key}: the model has no module {module!r}; nearest: {', '.join(near) or 'none'}")


def _inside(module: str, parents: list[str]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def _strings(tuner: Mapping[str, Any], key: str) -> list[str]:
    values = tuner[key]
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise HealthError(f"tuner.{key} must be a list of names, got {values!r}")
    return list(values)


def _listing(names: set[str]) -> str:
    shown = sorted(names)[:8]
    rest = f" ... and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return ", ".join(shown) + rest if shown else "nothing"
