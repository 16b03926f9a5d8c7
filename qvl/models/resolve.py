"""What a model path means."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from qvl.errors import CheckpointError, ConfigError
from qvl.models.tiny import create_tiny_checkpoint
from qvl.runtime.checkpoint import list_checkpoints, newest_good, resolve_resume, step_of, verify
from qvl.runtime.files import locked

__all__ = ["SHIPPED", "find_resume", "names_own", "resolve_model"]

SHIPPED = Path(__file__).parent / "tiny_checkpoint"
"""Folder of the trained model in the package."""

_OWN_CODE = "a checkpoint may not bring code of its own"

_log = logging.getLogger(__name__)


def resolve_model(path: str, *, run_folder: Path, prompts: Sequence[str], seed: int) -> str:
    """Turn `model.path` into something that ms-swift can load.

    Args:
        path: `qvl://tiny`, the trained checkpoint in the package; `qvl://tiny-random`, the same network with new
            weights; a checkpoint folder; or a hub id.
        run_folder: Where new weights are written.
        prompts: Texts for the tokenizer of new weights.
        seed: Of new weights.

    Raises:
        ConfigError: The name after `qvl://` is unknown, or the folder holds code.
    """
    if path == "qvl://tiny":
        return str(SHIPPED)
    if path == "qvl://tiny-random":
        return str(_new_weights(run_folder / "random_init", prompts, seed))
    if path.startswith("qvl://"):
        raise ConfigError(f"model.path: unknown name {path!r}; there are qvl://tiny and qvl://tiny-random")
    if Path(path).is_dir():
        _refuse_code(Path(path))
    elif path.startswith(("/", ".", "~")):
        raise ConfigError(f"model.path: no such folder: {path}")
    return path


def _refuse_code(folder: Path) -> None:
    if scripts := sorted(item.name for item in folder.glob("*.py")):
        raise ConfigError(f"model.path: {folder} holds {', '.join(scripts)}; {_OWN_CODE}")
    config = folder / "config.json"
    if config.is_file() and "auto_map" in json.loads(config.read_text(encoding="utf-8")):
        raise ConfigError(f"model.path: {config} has an auto_map; {_OWN_CODE}")


def _new_weights(folder: Path, prompts: Sequence[str], seed: int) -> Path:
    """Write a new tiny checkpoint; the first process of a run does it, the others wait for the lock."""
    with locked(folder):
        if not folder.exists():
            staging = folder.with_name(f".{folder.name}.staging")
            create_tiny_checkpoint(staging, prompts, seed=seed)
            staging.rename(folder)
    return folder


def find_resume(value: str | None, run: Path) -> Path | None:
    """Return the verified checkpoint that a run goes on from, or None for a run that begins.

    A folder is one run: where it holds a good checkpoint, the run goes on from its newest one, also if it was begun
    from that of another run. Only a checkpoint of the folder itself that is named by `value` comes before that.

    Args:
        value: `training.resume_from_checkpoint`: None, the folder of a checkpoint, or `latest`: the newest good
            checkpoint of the newest run that has one.
        run: Folder of the run, or of a job in the folder of a sweep; those beside that are the runs of the same name,
            and begin with the time of their start.

    Raises:
        CheckpointError: There is none, or the one that is named is damaged.
    """
    found = None if names_own(value, run) else _newest_to_go_on(run)
    if found is None and value is not None:
        found = _latest(run) if value == "latest" else resolve_resume(value, Path(value).parent)
    if found is not None:
        _log.info("going on from %s, step %s", found, step_of(found))
    return found


def names_own(value: str | None, run: Path) -> bool:
    """Return whether `training.resume_from_checkpoint` names a checkpoint of the run folder itself."""
    return value not in (None, "latest") and Path(str(value)).resolve().parent == run.resolve()


def _newest_to_go_on(run: Path) -> Path | None:
    """Return the newest good checkpoint that holds more than weights; the others are logged."""
    passed = []
    for path in reversed(list_checkpoints(run)):
        try:
            verify(path)
        except CheckpointError as error:
            _log.warning("passed over: %s", error)
            passed.append(path.name)
            continue
        if any(path.glob("rng_state*.pth")):
            return path
        _log.warning("passed over: %s holds weights only, see training.save_only_model", path)
        passed.append(path.name)
    if passed:
        _log.warning("%s: nothing to go on from in %s, the run begins again", run, ", ".join(passed))
    return None


def _latest(run: Path) -> Path:
    """Return the newest good checkpoint of another run of the same name; a run may be a job of a sweep."""
    runs = run.parent.parent if (run.parent / "sweep.json").is_file() else run.parent
    others = [path for path in (*runs.glob("*/"), *runs.glob("*/*/")) if path.resolve() != run.resolve()]
    by_time = sorted(others, key=lambda path: (path.relative_to(runs).parts[0], len(path.name), path.name))
    for other in reversed(by_time):
        if found := newest_good(other):
            return found
    raise CheckpointError(f"training.resume_from_checkpoint=latest: no run in {runs} has a good checkpoint")
