"""A run folder that was used before: the same run, or a mistake."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from qvl.errors import ConfigError
from qvl.runtime.checkpoint import list_checkpoints
from qvl.runtime.files import write_text
from qvl.runtime.manifest import CONFIG_NAME
from qvl.runtime.redaction import redact_yaml, secret_values
from qvl.training.job import TrainingResult

__all__ = ["RESULT_NAME", "earlier_result", "write_result"]

RESULT_NAME = "metrics.json"
"""Written last of all: a run is finished when it is there."""

_FREE = "training.resume_from_checkpoint"
_SHOWN = 8


def earlier_result(run: Path, config: str) -> TrainingResult | None:
    """Return the result of a run that is finished already; None for one that begins or goes on.

    Args:
        run: Folder of the run.
        config: The configuration as YAML text, resolved.

    Raises:
        ConfigError: The folder holds the result or checkpoints of another configuration.
    """
    path = run / RESULT_NAME
    finished = path.is_file()
    if finished or list_checkpoints(run):
        _check_same(run, config)
    if not finished:
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    values.setdefault("speed", {})  # runs of earlier versions have none
    return TrainingResult(**{item.name: values.get(item.name) for item in fields(TrainingResult)})


def write_result(run: Path, result: TrainingResult) -> None:
    """Write `metrics.json`: the scores, the number of steps, the speed, and where the checkpoints lie."""
    write_text(run / RESULT_NAME, json.dumps(asdict(result), indent=2) + "\n")


def _check_same(run: Path, config: str) -> None:
    try:
        before = yaml.safe_load((run / CONFIG_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    now = yaml.safe_load(redact_yaml(config, secret_values()))
    old, new = dict(_leaves(before)), dict(_leaves(now))
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and key != _FREE)
    if keys:
        lines = [f"{key}: it was {old.get(key)!r}, now it is {new.get(key)!r}" for key in keys[:_SHOWN]]
        more = [f"and {len(keys) - _SHOWN} keys more"] if len(keys) > _SHOWN else []
        raise ConfigError(
            f"{run} holds a run of another configuration, and the same folder is the same run; choose another folder, "
            f"or name the checkpoint to go on from by {_FREE}; " + "; ".join([*lines, *more])
        )


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the dotted path and the value of everything that is no mapping, lists as a whole."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
