"""Which colour and which dashes a job is drawn with."""

from __future__ import annotations

from collections import defaultdict

from qvl.sweep.analysis import Analysis
from qvl.sweep.plots import Pen
from qvl.sweep.settings import SEED, canonical, tell_settings
from qvl.sweep.style import COLORS, DASHES

__all__ = ["make_pens"]


def make_pens(analysis: Analysis) -> dict[str, Pen]:
    """Return a pen for each job, by name: one colour for each combination of settings, dashes for its seeds."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    jobs = analysis.sweep.jobs
    keys = [key for key in analysis.keys if key != SEED]
    for number, job in enumerate(jobs):
        groups[frozenset((key, canonical(job.settings[key])) for key in keys if key in job.settings)].append(number)
    if len(groups) == 1:  # nothing but the seed differs
        groups = defaultdict(list, {number: [number] for number in range(len(jobs))})
    colors = _colors(len(groups))
    pens = {}
    for color, members in zip(colors, groups.values(), strict=True):
        for place, number in enumerate(members):
            told = tell_settings(jobs[number].settings, analysis.keys)
            label = f"job {jobs[number].name}" + (f": {told}" if told else "")
            pens[jobs[number].name] = Pen(number, label, color, DASHES[place % len(DASHES)])
    return pens


def _colors(count: int) -> list[str]:
    if count <= len(COLORS):
        return list(COLORS[:count])
    return [f"hsl({360 * number / count:.0f} 70% {(36, 50)[number % 2]}%)" for number in range(count)]
