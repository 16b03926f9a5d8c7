"""Sections of the page below the table of jobs; "" is a section that has nothing to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from qvl.metrics import HEADLINE
from qvl.sweep.analysis import Analysis
from qvl.sweep.job import Curve, Job, Progress
from qvl.sweep.markup import escape, link, plain_table, visualize_command
from qvl.sweep.plots import Pen, draw_curves, draw_effect
from qvl.sweep.settings import SEED, tell_settings
from qvl.sweep.statistics import Effect, Level, Summary
from qvl.sweep.words import tell_duration, tell_number, tell_speed

__all__ = ["curves", "effects", "failed", "pictures", "running", "troubles"]

_MAIN_CURVES = ("train/loss", "train/token_acc", "eval/token_acc", *(f"eval/{name}" for name in HEADLINE))
_NO_CURVES = ("epoch", "runtime", "per_second", "total_flos", "train_loss")  # ends of names of other things
_MOST_OPEN = 3  # call stacks
_MOST_ROWS = 16  # of an open table


def running(analysis: Analysis) -> str:
    """Return where the jobs stand that are running, or that stopped without a word."""
    jobs = [job for job in analysis.sweep.jobs if job.state in ("running", "unfinished", "unknown")]
    return "\n".join(_running(job, analysis.keys) for job in jobs)


def failed(analysis: Analysis, start: Path) -> str:
    """Return why jobs failed, in full, and earlier attempts of jobs."""
    jobs = [(number, job) for number, job in enumerate(analysis.sweep.jobs) if job.cause or job.earlier]
    is_open = len(jobs) <= _MOST_OPEN
    return "\n".join(
        f'<div class="entry" id="failed-{number}">{_failed(job, analysis.keys, start, is_open=is_open)}</div>'
        for number, job in jobs
    )


def effects(analysis: Analysis, pens: Mapping[str, Pen]) -> str:
    """Return a plot and a table for each swept key, and the spread over seeds."""
    parts = [_effect(effect, analysis.metric, pens) for effect in analysis.effects if effect.levels]
    found, means = analysis.repeats, ""
    if SEED in analysis.keys and found.groups:
        keys = [key for key in analysis.keys if key != SEED]
        head = ["settings", "runs", "mean", "std", "lowest", "highest"]
        order = sorted(found.groups, key=lambda pair: pair[1].mean, reverse=analysis.higher_is_better)
        rows = [[tell_settings(runs[0].settings, keys) or "all", *_summary(summary)] for runs, summary in order]
        is_open = " open" if len(rows) <= _MOST_ROWS else ""
        table = f'<div class="wide">{plain_table(head, rows)}</div>'
        means = f"<details{is_open}><summary>Means over seeds, best first</summary>{table}</details>"
    if not parts:
        return means
    words = (
        "Dots are runs; the thick mark is their mean, the line one standard deviation to both sides, over all seeds "
        "and all values of the other keys. The last column compares runs that are alike in every other key."
    )
    return f'<p class="quiet">{words}</p>\n<div class="plots">{"".join(parts)}</div>\n{means}'


def curves(analysis: Analysis, pens: Mapping[str, Pen]) -> str:
    """Return a plot for each logged number, a line for each job, with one legend."""
    named: dict[str, list[tuple[Pen, Curve]]] = {}
    for job in analysis.sweep.jobs:
        for name, curve in job.curves.items():
            if curve.points and not name.endswith(_NO_CURVES):
                named.setdefault(name, []).append((pens[job.name], curve))
    if not named:
        return ""
    names = [name for name in _MAIN_CURVES if name in named]
    others = sorted(named.keys() - set(names))
    drawn = [pens[job.name] for job in analysis.sweep.jobs if any(curve.points for curve in job.curves.values())]
    legend = "".join(f'<li data-job="{pen.number}">{_swatch(pen)}{escape(pen.label)}</li>' for pen in drawn)
    main = "".join(_plot(name, named[name]) for name in names)
    rest = "".join(_plot(name, named[name]) for name in others)
    more = f'<details><summary>{len(others)} more</summary><div class="plots">{rest}</div></details>' if others else ""
    return f'<ul class="legend">{legend}</ul>\n<div class="plots">{main}</div>\n{more}'


def pictures(analysis: Analysis) -> str:
    """Return the commands that make pages of predictions."""
    commands = [visualize_command(path) for job in analysis.sweep.jobs for path in job.files.predictions]
    if not commands:
        return ""
    lines = escape("\n".join(commands))
    return f"<p>These commands make a page of pictures each; a new report links to them.</p>\n<pre>{lines}</pre>"


def troubles(analysis: Analysis) -> str:
    """Return the files that could not be used."""
    items = (f"<li><b>{escape(item.path)}</b> {escape(item.message)}</li>" for item in analysis.sweep.troubles)
    listed = "".join(items)
    return f"<ul>{listed}</ul>" if listed else ""


def _running(job: Job, keys: tuple[str, ...]) -> str:
    facts = ", ".join(_progress(job.progress)) if job.progress else "it has not written down where it stands"
    share = job.progress.share if job.progress else None
    bar = f'<progress max="1" value="{share:.3f}"></progress> ' if share is not None else ""
    return f'<div class="entry">{_name(job, keys)}<br>{bar}{escape(facts)}</div>'


def _progress(progress: Progress) -> Iterator[str]:
    if progress.step is not None:
        yield f"step {progress.step:.0f}" + (f" of {progress.max_steps:.0f}" if progress.max_steps else "")
    if progress.loss is not None:
        yield f"loss {tell_number(progress.loss)}"
    if progress.steps_per_second:
        yield tell_speed(progress.steps_per_second)
    if progress.eta_seconds is not None:
        yield f"{tell_duration(progress.eta_seconds)} left"
    if progress.gpu_memory_gb is not None:
        yield f"{progress.gpu_memory_gb:.1f} GB of GPU memory"
    if progress.written:
        yield f"as of {progress.written}"


def _failed(job: Job, keys: tuple[str, ...], start: Path, *, is_open: bool) -> str:
    logs = " · ".join(link(path, str(path.relative_to(job.folder)), start=start) for path in job.files.logs)
    parts = [_name(job, keys), *(f"<p>{escape(text)}</p>" for text in job.earlier)]
    if job.cause:
        rank = f"rank {job.cause.rank}: " if job.cause.rank is not None else ""
        parts.append(f'<p class="cause">{escape(rank + job.cause.exception)}</p>')
        blocks = (("call stack", job.cause.callstack), ("last lines", "\n".join(job.cause.last_lines)))
        parts += [_block(heading, text, is_open=is_open) for heading, text in blocks if text.strip()]
    return "".join([*parts, f"<p>{logs}</p>" if logs else ""])


def _block(heading: str, text: str, *, is_open: bool) -> str:
    return f"<details{' open' if is_open else ''}><summary>{heading}</summary><pre>{escape(text)}</pre></details>"


def _name(job: Job, keys: tuple[str, ...]) -> str:
    """Return name, state and settings of a job."""
    told = tell_settings(job.settings, keys)
    state = f'<span class="state {escape(job.state)}">{escape(job.state)}</span>'
    return f'<b>job {escape(job.name)}</b> {state} <span class="quiet">{escape(told)}</span>'


def _effect(effect: Effect, metric: str, pens: Mapping[str, Pen]) -> str:
    head = [effect.key, "runs", "mean", "std", "lowest", "highest"]
    rows = [[_value(level), *_summary(level.summary)] for level in effect.levels]
    if any(level.change for level in effect.levels):
        head.append(f"against {_value(effect.levels[0])}")
        rows = [[*row, _change(level)] for row, level in zip(rows, effect.levels, strict=True)]
    table = f'<div class="wide">{plain_table(head, rows)}</div>'
    return f"<div><h3>{escape(effect.key)}</h3>{draw_effect(effect, metric, pens)}{table}</div>"


def _value(level: Level) -> str:
    return level.value if level.value is not None else "(not given)"


def _summary(summary: Summary) -> list[str]:
    return [str(summary.count), *map(tell_number, (summary.mean, summary.std, summary.low, summary.high))]


def _change(level: Level) -> str:
    if level.change is None:
        return "-"
    return f"{level.change.mean:+.4f}, better in {level.change.num_better} of {level.change.pairs}"


def _plot(name: str, found: list[tuple[Pen, Curve]]) -> str:
    return f"<div><h3>{escape(name)}</h3>{draw_curves(name, found)}</div>"


def _swatch(pen: Pen) -> str:
    dashes = f' stroke-dasharray="{pen.dashes}"' if pen.dashes else ""
    line = f'<path d="M0 5H30" stroke="{pen.color}" stroke-width="3"{dashes}/>'
    return f'<svg viewBox="0 0 30 10" aria-hidden="true">{line}</svg>'
