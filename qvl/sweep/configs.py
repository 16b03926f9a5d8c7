"""Values that a job was not given by hand, looked up in the configuration that it wrote down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.runtime import redact_arguments
from qvl.sweep.reading import Reader
from qvl.sweep.settings import swept_keys

__all__ = ["complete_settings"]

_DEEPEST = 12


def complete_settings(jobs: Sequence[tuple[Path, Mapping[str, str]]], reader: Reader) -> list[dict[str, str]]:
    """Fill in what other jobs were given: a job without `seed=1` has the seed of its configuration.

    Where no job was given anything, the values that differ between the configurations are taken.

    Args:
        jobs: Folder and settings of each job.
        reader: Notes what cannot be read.

    Returns:
        The settings of each job; a key that its configuration does not have either stays missing.
    """
    settings = [dict(given) for _, given in jobs]
    if not any(settings):
        return _differences([(folder, _config(folder, reader)) for folder, _ in jobs])
    keys = swept_keys(settings)
    for (folder, _), given in zip(jobs, settings, strict=True):
        missing = [key for key in keys if key not in given]
        config = _config(folder, reader) if missing else {}
        found = ((key, _look_up(config, key)) for key in missing)
        given.update((key, value) for key, value in found if value is not None)
    return settings


def _config(folder: Path, reader: Reader) -> Mapping[str, object]:
    """Return the configuration of a run: config.yaml of the run itself, else the job file of the launcher."""
    config = reader.yaml(folder / "config.yaml") if (folder / "config.yaml").is_file() else None
    if config is not None:
        return config
    job = (reader.yaml(folder / "job.yaml") or {}).get("job")
    return job if isinstance(job, dict) else {}


def _look_up(config: object, key: str) -> str | None:
    for part in key.split("."):
        if not isinstance(config, dict) or part not in config:
            return None
        config = config[part]
    return _tell(key, config)


def _differences(configs: Sequence[tuple[Path, Mapping[str, object]]]) -> list[dict[str, str]]:
    """Return the values that differ, but for those that name the run folder itself."""
    flat = [dict(_leaves(config, "", set())) for _, config in configs]
    names = [f"/{folder.name}" for folder, _ in configs]
    keys = [
        key
        for key in swept_keys([leaves for leaves in flat if leaves])
        if not all(name in leaves.get(key, "") for name, leaves in zip(names, flat, strict=True))
    ]
    return [{key: leaves[key] for key in keys if key in leaves} for leaves in flat]


def _leaves(node: object, path: str, above: set[int]) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, value) of everything that is no mapping; aliases cannot make it endless."""
    if not isinstance(node, dict):
        value = _tell(path, node)
        if value is not None:
            yield path, value
        return
    if id(node) in above or path.count(".") > _DEEPEST:
        return
    above.add(id(node))
    for key, value in node.items():
        yield from _leaves(value, f"{path}.{key}" if path else str(key), above)


def _tell(key: str, value: object) -> str | None:
    """Return a value as it would be typed; None for a mapping."""
    if isinstance(value, dict):
        return None
    if isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "null"}[value]
    elif isinstance(value, list):
        text = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":")).replace('"', "")
    else:
        text = str(value)
    return redact_arguments([f"{key}={text}"], ())[0].partition("=")[2]
