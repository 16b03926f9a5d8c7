"""Which job starts first: the longest, so that no slot is left with a long one at the end."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._jobs import Job
from hydra_plugins.qvl_torchrun_launcher._status import State
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

__all__ = ["expected_seconds", "guessed_work", "longest_first"]


def longest_first(jobs: Sequence[Job], keys: Sequence[str]) -> list[Job]:
    """Return the jobs that are not done, longest first; equally long ones stay in the order of the sweep."""
    expected = expected_seconds(jobs, keys)
    return sorted((job for job in jobs if not job.is_done), key=lambda job: -expected[job.number])


def expected_seconds(jobs: Sequence[Job], keys: Sequence[str]) -> dict[int, float]:
    """Guess by job number how long each job takes.

    What took its time before will take it again; for the others the product of the keys is scaled by what the
    completed jobs took, so that only its proportions matter.

    Args:
        jobs: All jobs of the sweep, also those that are done.
        keys: Dotted keys of numbers in the job's configuration; a negative one does not count.

    Raises:
        LauncherError: A key is missing or no number.
    """
    guesses = guessed_work(jobs, keys)
    known = {job.number: job.earlier.seconds for job in jobs if _took(job) and job.earlier and job.earlier.seconds}
    rates = [seconds / guesses[number] for number, seconds in known.items() if guesses[number] > 0]
    scale = statistics.median(rates) if rates else 1.0
    return {number: known.get(number, guess * scale) for number, guess in guesses.items()}


def guessed_work(jobs: Sequence[Job], keys: Sequence[str]) -> dict[int, float]:
    """Return by job number the product of the keys, whatever earlier runs took.

    Raises:
        LauncherError: A key is missing or no number.
    """
    return {job.number: math.prod(_factor(job, key) for key in keys) for job in jobs}


def _took(job: Job) -> bool:
    return job.earlier is not None and job.earlier.state == State.COMPLETED


def _factor(job: Job, key: str) -> float:
    place = f"hydra.launcher.longest_first_by: job {job.number}: {key}"
    try:
        value = OmegaConf.select(job.config, key, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise LauncherError(f"{place}: {error}") from error
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise LauncherError(f"{place} is {value!r}, not a number")
    return float(value) if value >= 0 else 1.0  # by custom -1 leaves it to another key
