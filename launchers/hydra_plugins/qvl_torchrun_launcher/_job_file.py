"""The file from which the ranks of a job take their configuration: every value final, but for the environment."""

from __future__ import annotations

import copy
import io
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml  # type: ignore[import-untyped]
from hydra.core.hydra_config import HydraConfig
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf._utils import get_omega_conf_dumper
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

__all__ = ["freeze", "hydra_config", "job_text"]

NODE_REFERENCE = re.compile(r"\$\{[^:{}]+\}")
PLAIN_WORD = re.compile(r"[A-Za-z0-9_./-]+")  # what needs no quotes in `${oc.env:NAME,default}`
NUMBERS = (int, float, bool)


def job_text(task: str, config: DictConfig, *, path: Sequence[str] = ()) -> str:
    """Return the content of a job file: YAML with `task`, `job` and `hydra`.

    Values are resolved, so that all ranks see the same; an interpolation of the environment stays one, so that no
    secret is written down and every rank reads its own.

    Args:
        task: "package.module:function".
        config: Composed configuration with its node `hydra`.
        path: Folders that ranks put first on their module path.

    Raises:
        LauncherError: A value would not reach the ranks as it is.
    """
    frozen = freeze(_without_copies(config))
    hydra = frozen.pop("hydra")
    content = {"task": task, "path": list(path), "job": frozen, "hydra": hydra}
    for readable in (True, False):  # some characters, such as U+0085, arrive only as their escapes
        text = _dump(content, allow_unicode=readable)
        if _reads_as(text, content):
            return text
    raise LauncherError("a value of the configuration changes when it is written down and read again")


def freeze(config: DictConfig) -> dict[Any, Any]:
    """Return a configuration as plain values, interpolations of the environment left as they are.

    Args:
        config: Configuration, with the node `hydra` if values refer to it; it is not changed.
    """
    mask = Mask()
    frozen = copy.deepcopy(config)  # values that resolvers remember come along, and the mask stays out of the original
    with hydra_config(frozen), mask.installed():
        return _freeze_dict(frozen, mask)


@contextmanager
def hydra_config(config: DictConfig) -> Iterator[None]:
    """Let `HydraConfig` and `${hydra:...}` mean this configuration for a while."""
    singleton = HydraConfig.instance()
    before = singleton.cfg
    if "hydra" in config:
        singleton.set_config(config)
    try:
        yield
    finally:
        singleton.cfg = before


@dataclass
class Mask:
    """Stands in for the resolver `oc.env`: hands out marks, and knows what to write in their place.

    Attributes:
        marks: Text of the interpolation by mark; "" if it cannot be written as one.
        asked: Marks handed out since it was last emptied.
    """

    marks: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the place of `oc.env` for a while."""
        OmegaConf.register_new_resolver("oc.env", self.resolve, replace=True)
        try:
            yield
        finally:
            OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)

    def resolve(self, *arguments: object) -> str:
        """Return a mark that no other resolver takes for a number, a list or a word."""
        mark = f"{{[{secrets.token_hex(12)}"
        plain = len(arguments) <= 2 and all(PLAIN_WORD.fullmatch(str(argument)) for argument in arguments)
        words = ["null" if argument is None else str(argument) for argument in arguments]
        self.marks[mark] = f"${{oc.env:{','.join(words)}}}" if plain else ""
        self.asked.append(mark)
        return mark

    def restore(self, text: str) -> str | None:
        """Put interpolations where the marks are; None if one is missing, or cannot be written as text."""
        if not all(mark in text and self.marks[mark] for mark in self.asked):
            return None
        pieces = re.split("|".join(map(re.escape, self.asked)), text)
        if any(piece.endswith("\\") for piece in pieces[:-1]):  # would escape the interpolation
            return None
        found = re.findall("|".join(map(re.escape, self.asked)), text)
        marks = [self.marks[mark] for mark in found]
        return "".join(_escape(piece) + mark for piece, mark in zip(pieces, [*marks, ""], strict=True))


def _dump(content: dict[str, Any], *, allow_unicode: bool) -> str:
    dumper = get_omega_conf_dumper()
    text: str = yaml.dump(
        content, default_flow_style=False, allow_unicode=allow_unicode, sort_keys=False, width=1000, Dumper=dumper
    )
    return text


def _reads_as(text: str, content: dict[str, Any]) -> bool:
    try:
        text.encode()
        loaded = OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)
    except (UnicodeEncodeError, yaml.YAMLError, OmegaConfBaseException):
        return False
    return repr(loaded) == repr(content)  # repr, because NaN is not equal to itself


def _without_copies(config: DictConfig) -> DictConfig:
    """Leave out what no rank reads, and the values of `hydra.job.env_copy`, which come with the environment."""
    config = copy.deepcopy(config)
    with read_write(config.hydra), open_dict(config.hydra):
        for name in ("help", "hydra_help"):
            config.hydra.pop(name, None)
        for name in config.hydra.job.env_copy:
            config.hydra.job.env_set[name] = f"${{oc.env:{name}}}"
    return config


def _freeze_dict(node: DictConfig, mask: Mask) -> dict[Any, Any]:
    return {_plain(key): _freeze_child(node, key, mask) for key in node}


def _freeze_child(parent: DictConfig | ListConfig, key: Any, mask: Mask) -> Any:
    if OmegaConf.is_interpolation(parent, key):
        return _freeze_interpolation(parent, key, mask)
    if OmegaConf.is_missing(parent, key):
        return "???"
    value = parent[key]
    if isinstance(value, DictConfig):
        return _freeze_dict(value, mask)
    if isinstance(value, ListConfig):
        return [_freeze_child(value, index, mask) for index in range(len(value))]
    return _plain(value)


def _freeze_interpolation(parent: DictConfig | ListConfig, key: Any, mask: Mask) -> Any:
    raw = _raw(parent, key)
    mask.asked.clear()
    try:
        value = parent[key]
    except OmegaConfBaseException:  # fails in the task when it is read, or is a number from the environment
        return _as_number(parent, key, raw) if mask.asked else raw
    if OmegaConf.is_config(value):
        if mask.asked or NODE_REFERENCE.fullmatch(raw):
            return raw
        container = _literal(OmegaConf.to_container(value, resolve=True, throw_on_missing=False))
        return raw if mask.asked else container
    if not mask.asked:
        return _literal(value)
    text = mask.restore(value) if isinstance(value, str) else None
    return raw if text is None else text


def _raw(parent: DictConfig | ListConfig, key: Any) -> str:
    """Return the text of an interpolation."""
    plain: Any = OmegaConf.to_container(parent, resolve=False)
    return str(plain[key])


def _as_number(parent: DictConfig | ListConfig, key: Any, raw: str) -> str:
    """Keep the type that the schema gives to a value: ranks read plain YAML, where the environment is text."""
    node = parent._get_node(key)
    kind = None if node is None or isinstance(node, list) else node._metadata.ref_type
    return f"${{oc.decode:{raw}}}" if kind in NUMBERS and raw.startswith("${") and raw.endswith("}") else raw


def _literal(value: Any) -> Any:
    """Return a plain value that reads as itself, also if it holds `${`."""
    if isinstance(value, dict):
        return {key: _literal(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_literal(part) for part in value]
    return _escape(value) if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> Any:
    return value.name if isinstance(value, Enum) else value


def _escape(text: str) -> str:
    r"""Return text that OmegaConf reads as `text`: backslashes before `${` are doubled, and one more is added."""
    return re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + r"\${", text)
