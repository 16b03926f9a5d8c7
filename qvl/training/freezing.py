"""Which weights a recipe trains: said in advance, compared afterwards."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qvl.errors import ConfigError, HealthError

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.hooks import RemovableHandle

__all__ = [
    "ADAPTED",
    "SAVED",
    "check_carried",
    "check_sources",
    "check_trainable",
    "component",
    "cut_frozen_tower",
    "expected_trainable",
    "reach_all_weights",
]

_VISUAL = "visual."
_MERGERS = ("merger.", "deepstack_merger_list.")
_VIT = f"model.{_VISUAL}"
_ALIGNER = tuple(f"{_VIT}{name}" for name in _MERGERS)
_LORA_PARTS = ("lora_A.default.weight", "lora_B.default.weight")
_DORA_PART = "lora_magnitude_vector.default.weight"
ADAPTED = "base_model.model."
SAVED = ".modules_to_save.default"


def expected_trainable(model: nn.Module, tuner: Mapping[str, Any]) -> set[str]:
    """Return the names of all parameters that a tuner trains, before it is applied.

    Args:
        model: The bare Qwen3-VL.
        tuner: Keys of the group `tuner`.

    Returns:
        Names as `named_parameters` of the prepared model has them.

    Raises:
        HealthError: `modules_to_save` or `target_modules` names no module, or `target_parameters` no weight.
    """
    parameters = [name for name, _ in model.named_parameters()]
    if tuner["tuner_type"] == "full":
        return {name for name in parameters if not tuner[f"freeze_{component(name)}"]}
    saved = _strings(tuner, "modules_to_save")
    _check_modules(saved, (name for name, _ in model.named_modules()), "modules_to_save")
    names = {
        f"{ADAPTED}{module}{SAVED}{name.removeprefix(module)}"
        for module in saved
        for name in parameters
        if name.startswith(f"{module}.")
    }
    adapted = [module for module in _adapted_linears(model, tuner) if not _inside(module, saved)]
    parts = (*_LORA_PARTS, _DORA_PART) if tuner["use_dora"] else _LORA_PARTS
    if tuner.get("target_parameters"):
        adapted += _adapted_weights(parameters, _strings(tuner, "target_parameters"))
    return names | {f"{ADAPTED}{module}.{part}" for module in adapted for part in parts}


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


def check_carried(model: nn.Module, carried: Collection[str]) -> None:
    """Make sure that an adapter holds all that differs from its base model: whoever uses it loads these two only.

    Args:
        model: The prepared model, with or without an adapter.
        carried: Names of the weights that differ from the base model before training.

    Raises:
        ConfigError: A weight of these is not trained as a whole.
    """
    names = [name for name, _ in model.named_parameters()]
    if not any(name.startswith(ADAPTED) for name in names):
        return
    saved = {name.removeprefix(ADAPTED).replace(SAVED, "") for name in names if SAVED in name}
    if lost := set(carried) - saved:
        raise ConfigError(
            f"tuner.modules_to_save: model.path holds trained weights that the adapter would not hold: "
            f"{_listing(lost)}; name their modules, or make a whole model of it by "
            f"`python -m qvl.export checkpoint=... out=FOLDER` and start from that: model.path=FOLDER"
        )


def check_sources(model: nn.Module, modes: Mapping[str, str]) -> None:
    """Make sure that every source trains something.

    Args:
        model: The prepared model.
        modes: Kind of the conversations of each source, by its name.

    Raises:
        ConfigError: Only pictures reach what is trained, and a source has none.
    """
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    texts = [name for name, mode in modes.items() if mode == "chat"]
    if texts and all(_VISUAL in name for name in trained):
        raise ConfigError(
            f"data.train: {', '.join(texts)}: rows without pictures train nothing here, because only vision encoder "
            f"or aligner are trained; leave the source out, or choose tuner=llm_lora"
        )


def cut_frozen_tower(model: nn.Module) -> RemovableHandle | None:
    """Let a vision encoder of which nothing is trained run forward once and backward never.

    Checkpointing makes the output of the patch embedding ask for a gradient, so that blocks are computed twice and
    gradients flow through all of them to a frozen embedding. Gradients of the aligner do not change by a bit.

    Args:
        model: Qwen3-VL ready to be trained; hooks that are registered later would undo this.

    Returns:
        The handle that undoes it; None if something in the encoder is trained.

    Raises:
        ValueError: The model has no patch embedding, or several.
    """
    name, embedding = patch_embedding(model)
    tower = name.removesuffix("patch_embed")
    trained = [other for other, value in model.named_parameters() if value.requires_grad and other.startswith(tower)]
    if any(not other.removeprefix(tower).startswith(_MERGERS) for other in trained):
        return None
    return embedding.register_forward_hook(lambda module, inputs, output: output.detach())


def reach_all_weights(model: nn.Module) -> None:
    """Let batches without pictures reach the weights that only pictures need, with a gradient of zero.

    Processes add up the gradient of a weight only where the last micro step of an optimiser step reaches it. Without
    this, each would go on with its own gradients of the micro steps before, and a model of its own.

    Args:
        model: Qwen3-VL ready to be trained, with or without an adapter.
    """
    only_pictures = [value for name, value in model.named_parameters() if value.requires_grad and _VISUAL in name]
    lacks_pictures = [False]

    def look(module: nn.Module, args: object, inputs: Mapping[str, object]) -> None:
        lacks_pictures[0] = module.training and inputs.get("pixel_values") is None

    def add_nothing(module: nn.Module, args: object, embedded: Any) -> Any:
        return embedded + sum(value.sum() * 0.0 for value in only_pictures) if lacks_pictures[0] else embedded

    if only_pictures:
        model.register_forward_pre_hook(look, with_kwargs=True)
        model.get_input_embeddings().register_forward_hook(add_nothing)


def patch_embedding(model: nn.Module) -> tuple[str, nn.Module]:
    """Return the name and the module that cuts pictures into patches, of a model with or without adapters and wrappers.

    Raises:
        ValueError: There is none, or several.
    """
    found = [(name, module) for name, module in model.named_modules() if name.endswith(f"{_VISUAL}patch_embed")]
    if len(found) != 1:
        raise ValueError(f"{type(model).__name__}: expected one module visual.patch_embed, got {len(found)}")
    return found[0]


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


def _adapted_weights(parameters: list[str], targets: list[str]) -> list[str]:
    """Return the wrappers that PEFT puts around the modules of single weights, one inside the other for several."""
    _check_modules(targets, parameters, "target_parameters")
    found = Counter(
        name.rpartition(".")[0]
        for name in parameters
        if any(name == target or name.endswith(f".{target}") for target in targets)
    )
    return [module + ".base_layer" * depth for module, count in found.items() for depth in range(count)]


def _check_modules(wanted: list[str], known: Iterable[str], key: str) -> None:
    names = [name for name in known if name]
    for module in wanted:
        if not any(name == module or name.endswith(f".{module}") for name in names):
            near = difflib.get_close_matches(module, names, n=3, cutoff=0.5)
            what = "weight" if key == "target_parameters" else "module"
            raise HealthError(f"tuner.{key}: the model has no {what} {module!r}; nearest: {', '.join(near) or 'none'}")


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
