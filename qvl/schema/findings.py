"""Faults of a composed configuration that only its files and the command line together explain."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from qvl.schema.explain import unknown_key
from qvl.schema.keys import missing_keys, unknown_keys
from qvl.schema.sources import ConfigFiles, Origins

__all__ = ["find_strange_keys", "tell"]


def tell(key: str, message: str, origins: Origins) -> str:
    """Return one line: where a key is set, the key, and what is wrong with it."""
    place = origins.place(key)
    return f"{place}: {key}: {message}" if place else f"{key}: {message}"


def find_strange_keys(cfg: DictConfig, origins: Origins, *, files: ConfigFiles, trusted: Sequence[str]) -> list[str]:
    """Return a line for every key that is unknown, has no value, or may not be set where it is.

    Args:
        cfg: Composed configuration.
        origins: Where its keys are set.
        files: Where configs lie.
        trusted: What the command line gave as `trusted_targets`.
    """
    unknown = [f"{origins.place(key)}: {unknown_key(key, files)}" for key in unknown_keys(cfg)]
    missing = [_missing(key, origins, files) for key in missing_keys(cfg)]
    lines = [*unknown, *missing]
    if list(OmegaConf.select(cfg, "trusted_targets") or []) != list(trusted):
        lines.append(tell("trusted_targets", "is for the command line only, a file cannot trust itself", origins))
    return lines


def _missing(key: str, origins: Origins, files: ConfigFiles) -> str:
    if files.is_group(key):
        return f"{key}: nothing is chosen; add {key}=NAME, one of: {', '.join(files.choices(key))}"
    comment = origins.comment(key)
    what = f" ({comment})" if comment else ""
    return tell(key, f"has no value{what}; add {key}=VALUE to the command", origins)
