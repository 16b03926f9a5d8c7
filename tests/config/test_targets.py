"""Every class that conf/ names exists, and takes the arguments that conf/ gives it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from omegaconf import OmegaConf

from qvl.build import check_targets
from qvl.schema import ConfigFiles, config_dir

FILES = ConfigFiles(config_dir())
RUN_TIME = {"data.builder": {"prompts"}, "data.train": {"context"}, "data.val": {"context"}}


def target_nodes(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (path, node) of everything with a target."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from target_nodes(value, f"{path}.{key}" if path else key)


def named() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (config, path, node) of every target in a file, with the keys of the files it builds on."""
    for config in FILES.configs():
        steps = [path for step in (config, *FILES.base(config)) if (path := FILES.path(step))]
        merged = OmegaConf.unsafe_merge(*(OmegaConf.load(path) for path in reversed(steps)))
        is_global = config.partition("/")[0] in ("recipe", "debug", config)
        plain = OmegaConf.to_container(merged)
        if isinstance(plain, dict):
            plain.pop("hydra", None)
            plain.pop("defaults", None)
        for path, node in target_nodes(plain, "" if is_global else config.partition("/")[0]):
            yield config, path, node


NAMED = list(named())


def test_conf_names_the_classes_of_the_extension_points() -> None:
    names = {node["_target_"] for _, _, node in NAMED}
    assert {"qvl.data.JsonlDataset", "qvl.augmentation.Compose", "qvl.training.SwiftTrainer"} <= names
    assert {"qvl.conversation.DenseBuilder", "qvl.prompts.PromptScheme", "qvl.data.KeepAll"} <= names


@pytest.mark.parametrize(("config", "path", "node"), NAMED, ids=[f"{config}:{path}" for config, path, _ in NAMED])
def test_a_target_exists_and_its_signature_binds(config: str, path: str, node: Mapping[str, Any]) -> None:
    check_targets({key: value for key, value in node.items() if not isinstance(value, Mapping)})
    _, package, name = node["_target_"].split(".")
    parameters = inspect.signature(getattr(importlib.import_module(f"qvl.{package}"), name)).parameters
    needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    later = RUN_TIME.get(path, set())
    assert needed - later <= node.keys()
    assert later <= parameters.keys()
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values()), "keyword-only"
