"""What stands at the top of a report, as pairs of a name and a text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime

from qvl.sweep.analysis import Analysis
from qvl.sweep.job import Job
from qvl.sweep.settings import SEED, tell_settings
from qvl.sweep.words import tell_duration, tell_number

__all__ = ["tell_counts", "tell_facts"]

_FORM = "%Y-%m-%d %H:%M:%S"


def tell_counts(analysis: Analysis) -> str:
    """Return `5 completed, 1 failed`."""
    return ", ".join(f"{count} {state}" for state, count in analysis.counts.items()) or "no jobs"


def tell_facts(analysis: Analysis, *, written: str) -> list[tuple[str, str]]:
    """Return name and text of everything that is worth a line of its own.

    Args:
        analysis: What was found.
        written: Local time of the report, as `2026-01-31 12:00:00`.
    """
    return [*_sweep(analysis, written), *_results(analysis)]


def _sweep(analysis: Analysis, written: str) -> Iterator[tuple[str, str]]:
    sweep = analysis.sweep
    state = f"{sweep.state}; " if sweep.state else ""
    yield "state", f"{state}{len(sweep.jobs)} {'job' if len(sweep.jobs) == 1 else 'jobs'}: {tell_counts(analysis)}"
    if sweep.command:
        yield "command", shlex.join(sweep.command)
    if sweep.started:
        yield "started", sweep.started
    if sweep.ended:
        yield "ended", f"{sweep.ended}{_after(sweep.started, sweep.ended)}"
    yield "report", f"of {written}"


def _results(analysis: Analysis) -> Iterator[tuple[str, str]]:
    keys = analysis.keys
    direction = "highest" if analysis.higher_is_better else "lowest"
    for job in analysis.sweep.jobs:
        if job.name == analysis.best:
            score = tell_number(job.after[analysis.metric])
            yield f"{direction} {analysis.metric}", f"{score} by job {job.name}{_bracket(job, keys)}"
    groups = [(group, summary) for group, summary in analysis.repeats.groups if summary.count > 1]
    if not groups or analysis.repeats.std is None:
        return
    runs, summary = (max if analysis.higher_is_better else min)(groups, key=lambda pair: pair[1].mean)
    told = tell_settings(runs[0].settings, [key for key in keys if key != SEED])
    if told:
        mean = f"{tell_number(summary.mean)} ± {tell_number(summary.std)} over {summary.count} runs"
        yield f"{direction} mean over seeds", f"{mean} ({told})"
    repeated = f"{len(groups)} repeated {'setting' if len(groups) == 1 else 'settings'}"
    yield (
        "spread over seeds",
        (
            f"standard deviation of {analysis.metric} {tell_number(analysis.repeats.std)} in runs with the same "
            f"settings ({repeated}); a smaller difference may be chance"
        ),
    )


def _bracket(job: Job, keys: tuple[str, ...]) -> str:
    told = tell_settings(job.settings, keys)
    return f" ({told})" if told else ""


def _after(started: str, ended: str) -> str:
    try:
        seconds = (datetime.strptime(ended, _FORM) - datetime.strptime(started, _FORM)).total_seconds()
    except ValueError:
        return ""
    return f", after {tell_duration(seconds)}" if seconds >= 0 else ""
