"""Configuration node to object: the one place that calls Hydra's instantiate, and the list of what it may build."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from qvl.errors import ConfigError, QvlError

if TYPE_CHECKING:
    from qvl.data import SampleContext

__all__ = ["build", "build_context", "check_targets", "target_problems"]

TARGET = re.compile(r"qvl\.([a-z][a-z_]*)\.([A-Z][A-Za-z0-9]*)")
HYDRA_KEYS = frozenset({"_target_", "_convert_", "_recursive_", "_partial_"})
OWN_CLASS = "for a class of your own add 'trusted_targets=[package.module.Class]' to the command"


def build(node: Any, *, trusted: Sequence[str] = (), **run_time: Any) -> Any:
    """Build what a node of the configuration describes, and everything inside it.

    Args:
        node: A mapping with a `_target_`, a mapping or list of such nodes, or None.
        trusted: Targets outside qvl that the command line allowed.
        **run_time: Arguments of the outermost class that only exist at run time.

    Returns:
        The object; for a mapping or list of nodes a dict or list of objects; None for None. Classes get plain values.

    Raises:
        ConfigError: A target is not allowed or does not exist, or a class does not take its arguments.
    """
    if node is None:
        return None
    plain = OmegaConf.to_container(node, resolve=True, throw_on_missing=True) if OmegaConf.is_config(node) else node
    check_targets(plain, trusted=trusted)
    _check_resolved(plain, "")
    if not run_time:
        return _instantiate(plain, partial=False)
    if not isinstance(plain, Mapping) or "_target_" not in plain:
        raise ConfigError(f"run-time arguments {sorted(run_time)} need a node with a _target_")
    if doubled := sorted(run_time.keys() & plain.keys()):
        raise ConfigError(
            f"{plain['_target_']}: {', '.join(doubled)} comes from the program; delete it from the config"
        )
    factory = _instantiate(plain, partial=True)
    try:
        return factory(**run_time)
    except ValueError as error:
        raise ConfigError(f"{plain['_target_']}: {error}") from error


def build_context(cfg: Any, *, prompts: Any, augmentation: Any = None) -> SampleContext:
    """Build what turns the records of a configuration into conversations for training.

    Args:
        cfg: Has `data`, `model`, `paths`, `seed` and `trusted_targets`.
        prompts: Object of the group `prompts`.
        augmentation: Object of the group `augmentation`, or None.
    """
    from qvl.data import SampleContext, TurnFormat

    form = TurnFormat(
        emit_norm=cfg.data.emit_norm,
        order=cfg.data.object_order,
        image_label=prompts.image_label,
        min_pixels=cfg.model.min_pixels,
        max_pixels=cfg.model.max_pixels,
        side_factor=cfg.model.side_factor,
    )
    return SampleContext(
        builder=build(cfg.data.builder, trusted=list(cfg.trusted_targets), prompts=prompts),
        form=form,
        seed=cfg.seed,
        augmentation=augmentation,
        allowed_roots=tuple(cfg.data.allowed_roots),
        cache=Path(cfg.paths.cache),
    )


def check_targets(node: Any, *, trusted: Sequence[str] = ()) -> None:
    """Raise a ConfigError that lists every target which may not be built; foreign ones are not imported.

    Args:
        node: A tree of mappings and lists, plain or of OmegaConf.
        trusted: Targets outside qvl that the command line allowed.
    """
    if problems := target_problems(node, trusted=trusted):
        raise ConfigError("\n".join(f"{key}: {message}" for key, message in problems))


def target_problems(node: Any, *, trusted: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return (key, message) of every target that may not be built, and of every argument that its class does not take.

    Args:
        node: A tree of mappings and lists, plain or of OmegaConf.
        trusted: Targets outside qvl that the command line allowed.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    problems: list[tuple[str, str]] = []
    for key, target_node in _target_nodes(plain, ""):
        place = f"{key}._target_" if key else "_target_"
        try:
            target = _locate(target_node["_target_"], trusted)
        except ConfigError as error:
            problems.append((place, str(error)))
            continue
        problems += [(f"{key}.{name}" if key else name, text) for name, text in _strange_arguments(target, target_node)]
    return problems


def _target_nodes(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from _target_nodes(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from _target_nodes(value, f"{path}[{number}]")


def _locate(target: object, trusted: Sequence[str]) -> Any:
    """Import a target after its name has been checked."""
    if isinstance(target, str) and target in trusted:
        return _import(*target.rpartition(".")[::2])
    match = TARGET.fullmatch(target) if isinstance(target, str) else None
    if match is None:
        raise ConfigError(f"{target!r} is refused before import: a target is qvl.<package>.<Class>; {OWN_CLASS}")
    package, name = match.groups()
    packages = sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))
    if package not in packages:
        raise ConfigError(f"{target!r}: there is no package qvl.{package}{_meant(package, packages)}")
    exported = importlib.import_module(f"qvl.{package}").__all__
    if name not in exported:
        raise ConfigError(f"{target!r}: qvl.{package} exports no {name}{_meant(name, exported)}")
    found = _import(f"qvl.{package}", name)
    if not inspect.isclass(found) or not found.__module__.startswith("qvl."):
        raise ConfigError(f"{target!r} is no class of qvl")
    return found


def _import(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"'{module}.{name}' cannot be imported: {error}") from error


def _meant(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}"


def _strange_arguments(target: Any, node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, message) of every key of a node that the class does not take."""
    parameters = inspect.signature(target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in node:
        if name not in parameters and name not in HYDRA_KEYS:
            yield str(name), f"{node['_target_']} takes no {name}{_meant(str(name), list(parameters))}"


def _check_resolved(node: Any, path: str) -> None:
    """Refuse texts that would be interpolated once more, after the targets have been checked."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            _check_resolved(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            _check_resolved(value, f"{path}[{number}]")
    elif isinstance(node, str) and "${" in node:
        raise ConfigError(f"{path}: a text may not hold '${{' once the configuration is resolved: {node!r}")


def _instantiate(plain: Any, *, partial: bool) -> Any:
    switches = {"_convert_": "all", "_partial_": True} if partial else {"_convert_": "all"}
    try:
        return hydra.utils.instantiate(plain, **switches)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, QvlError):
            raise cause from None
        if isinstance(cause, ValueError):
            place = re.search(r"full_key: (\S+)", str(error))
            raise ConfigError(f"{place.group(1) if place else plain.get('_target_')}: {cause}") from error
        raise
