"""Files that a configuration names and that have to be there before a run starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from qvl.schema.checks import Problem

__all__ = ["find_missing_files"]

_PROMPT_FILES = ("prompts.system_file", "prompts.user_file")


def find_missing_files(cfg: DictConfig) -> list[Problem]:
    """Return the files and folders that a configuration names and that are not there; [] when all are.

    Rows that `data.prepare` makes are not looked for, nor a model that has to be fetched by its name.

    Args:
        cfg: Composed configuration without missing values.
    """
    if "data" not in cfg:
        return []
    return [Problem(key, f"there is no file {path}") for key, path in _named_files(cfg) if not Path(path).is_file()] + [
        Problem(key, f"there is no folder {path}") for key, path in _named_folders(cfg) if not Path(path).is_dir()
    ]


def _named_files(cfg: DictConfig) -> Iterator[tuple[str, str]]:
    if cfg.data.prepare is None:
        for part in ("train", "val"):
            yield from _paths(cfg.data[part], f"data.{part}")
    for key in _PROMPT_FILES:
        value = OmegaConf.select(cfg, key)
        if value is not None:
            yield key, str(value)


def _named_folders(cfg: DictConfig) -> Iterator[tuple[str, str]]:
    path = str(cfg.model.path)
    if path.startswith(("/", ".", "~")):
        yield "model.path", path
    resumed = OmegaConf.select(cfg, "training.resume_from_checkpoint")
    if resumed not in (None, "latest"):
        yield "training.resume_from_checkpoint", str(resumed)


def _paths(node: object, key: str) -> Iterator[tuple[str, str]]:
    """Yield every `path` of a node of data, those of its sources too."""
    if not isinstance(node, DictConfig):
        return
    for name, value in ((str(name), value) for name, value in node.items()):
        if name == "path" and isinstance(value, str):
            yield f"{key}.path", value
        elif isinstance(value, DictConfig) and name not in ("preprocessor", "builder", "augmentation"):
            yield from _paths(value, f"{key}.{name}")
