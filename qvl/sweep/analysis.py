"""From a sweep to what a report tells: the swept keys, the best run, what each key does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from qvl.metrics import HEADLINE
from qvl.sweep.job import Job, Sweep
from qvl.sweep.settings import SEED, shared_folder, swept_keys
from qvl.sweep.statistics import Effect, Repeats, Run, best_run, find_effect, repeats

__all__ = ["Analysis", "analyze"]

_WITHOUT_SETTINGS = ("pending", "unknown")


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a report shows.

    Attributes:
        sweep: All that was read.
        metric: Name of the metric that decides.
        higher_is_better: Its good direction.
        keys: Swept keys, the seed last.
        folders: Keys whose values are paths in one folder, and that folder; values are told without it.
        metrics: Names of the scores after training that are shown: the deciding one, then those of the headline.
        others: Names of all other scores after training.
        before: Names of the scores before training that are shown and differ between jobs.
        same_before: Scores before training that are shown and that all jobs share.
        counts: Number of jobs in each state, the most frequent first.
        best: Name of the job with the best score, None without any.
        effects: One for each swept key but the seed.
        repeats: Runs that differ in the seed only.
        num_scored: Number of jobs that have the metric.
    """

    sweep: Sweep
    metric: str
    higher_is_better: bool
    keys: tuple[str, ...]
    folders: dict[str, str]
    metrics: tuple[str, ...]
    others: tuple[str, ...]
    before: tuple[str, ...]
    same_before: dict[str, float]
    counts: dict[str, int]
    best: str | None
    effects: tuple[Effect, ...]
    repeats: Repeats
    num_scored: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before the numbers are believed."""
        found = []
        known = *self.metrics, *self.others
        if known and self.metric not in known:
            found.append(f"No job has the metric {self.metric}; there are: {', '.join(known)}.")
        unfinished = len(self.sweep.jobs) - self.num_scored
        if self.num_scored and unfinished:
            found.append(
                f"{unfinished} of {len(self.sweep.jobs)} jobs have no {self.metric}: means are over the others."
            )
        lost = [job.name for job in self.sweep.jobs if any(curve.num_lost for curve in job.curves.values())]
        if lost:
            found.append(f"Numbers that are not finite were logged by: {', '.join(lost)}.")
        if count := len({trouble.path for trouble in self.sweep.troubles}):
            files = f"{count} {'file' if count == 1 else 'files'}"
            found.append(f"{files} could not be used, or not in full; see the end of the report.")
        return tuple(found)


def analyze(sweep: Sweep, *, metric: str, higher_is_better: bool) -> Analysis:
    """Work out what a report shows.

    Args:
        sweep: All that was read.
        metric: Name of a score after training.
        higher_is_better: Its good direction.
    """
    keys = swept_keys([job.settings for job in sweep.jobs if job.settings or job.state not in _WITHOUT_SETTINGS])
    folders = {key: shared_folder([job.settings[key] for job in sweep.jobs if key in job.settings]) for key in keys}
    jobs = tuple(replace(job, settings=_shortened(job.settings, folders)) for job in sweep.jobs)
    runs = [
        Run(job.name, {key: job.settings[key] for key in keys if key in job.settings}, job.after[metric])
        for job in jobs
        if metric in job.after
    ]
    best = best_run(runs, higher_is_better=higher_is_better)
    before, same = _before(jobs)
    names = {name for job in jobs for name in job.after}
    metrics = _shown(names, metric)
    return Analysis(
        sweep=replace(sweep, jobs=jobs),
        metric=metric,
        higher_is_better=higher_is_better,
        keys=tuple(keys),
        folders={key: folder for key, folder in folders.items() if folder},
        metrics=metrics,
        others=tuple(sorted(names.difference(metrics))),
        before=_shown(before, metric),
        same_before={name: same[name] for name in _shown(same.keys(), metric)},
        counts=dict(Counter(job.state for job in jobs).most_common()),
        best=best.name if best else None,
        effects=tuple(find_effect(key, runs, higher_is_better=higher_is_better) for key in keys if key != SEED),
        repeats=repeats(runs),
        num_scored=len(runs),
    )


def _shortened(settings: Mapping[str, str], folders: Mapping[str, str]) -> dict[str, str]:
    return {
        key: value.removeprefix(folders[key]) or "." if folders.get(key) else value for key, value in settings.items()
    }


def _before(jobs: Sequence[Job]) -> tuple[set[str], dict[str, float]]:
    """Tell scores before training that differ from those that all jobs with such scores share."""
    rows = [job.before for job in jobs if job.before]
    names = {name for row in rows for name in row}
    same = {name: rows[0][name] for name in names if len({row.get(name) for row in rows}) == 1} if len(rows) > 1 else {}
    return names - same.keys(), same


def _shown(names: Set[str], metric: str) -> tuple[str, ...]:
    """Return the names that have room in a table, in its order."""
    return tuple(name for name in dict.fromkeys((metric, *HEADLINE)) if name in names)
