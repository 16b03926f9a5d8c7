"""The report as Markdown: the table of jobs, and why jobs failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from qvl.sweep.analysis import Analysis
from qvl.sweep.job import Job
from qvl.sweep.settings import tell_settings
from qvl.sweep.statistics import Effect, Level
from qvl.sweep.table import captions, make_table
from qvl.sweep.words import tell_number, visible

__all__ = ["render_markdown"]

_ESCAPED = re.compile(r"([\\|`*\[\]])")
_LONGEST = 60


def render_markdown(analysis: Analysis, *, title: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the whole document.

    Args:
        analysis: What to tell.
        title: Name of the sweep.
        facts: Name and value of what stands above the table, such as the command.
    """
    parts = [f"# {_text(title)}", "\n".join(f"- {_text(name)}: {_text(value)}" for name, value in facts)]
    parts += [f"> {_text(note)}" for note in analysis.notes]
    parts += ["## Jobs", *_jobs(analysis)]
    effects = [effect for effect in analysis.effects if effect.levels]
    if effects:
        parts += [f"## What each key does to {_text(analysis.metric)}", *(_effect(effect) for effect in effects)]
    failed = [job for job in analysis.sweep.jobs if job.cause or job.earlier]
    if failed:
        parts += ["## Failures", *(part for job in failed for part in _failure(job, analysis.keys))]
    if analysis.sweep.troubles:
        lines = [f"- `{_code(str(trouble.path))}` {_text(trouble.message)}" for trouble in analysis.sweep.troubles]
        parts += ["## Files that could not be used", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _jobs(analysis: Analysis) -> Iterator[str]:
    columns, rows = make_table(analysis)
    shown = [
        index for index, column in enumerate(columns) if column.kind != "before" or column.full_name == analysis.metric
    ]
    head = [columns[index].name for index in shown]
    body = [[row.cells[index].text for index in shown] for row in rows]
    yield _table(head, body, [columns[index].is_number for index in shown])
    yield from map(_text, captions(analysis))


def _effect(effect: Effect) -> str:
    head = [effect.key, "runs", "mean", "std", "lowest", "highest", "against the first"]
    return _table(head, [_level(level) for level in effect.levels], [False, *[True] * 5, False])


def _level(level: Level) -> list[str]:
    summary, change = level.summary, level.change
    numbers = [tell_number(number) for number in (summary.mean, summary.std, summary.low, summary.high)]
    told = f"{change.mean:+.4f}, better in {change.num_better} of {change.pairs} pairs" if change else "-"
    return [level.value if level.value is not None else "(not given)", str(summary.count), *numbers, told]


def _failure(job: Job, keys: Sequence[str]) -> Iterator[str]:
    settings = tell_settings(job.settings, keys)
    yield f"### Job {_text(job.name)}: {_text(job.state)}" + (f" ({_text(settings)})" if settings else "")
    if job.earlier:
        yield "\n".join(f"- {_text(text)}" for text in job.earlier)
    if job.cause is None:
        return
    rank = f"rank {job.cause.rank}: " if job.cause.rank is not None else ""
    yield f"**{_text(rank + job.cause.exception)}**"
    for text in (job.cause.callstack, "\n".join(job.cause.last_lines)):
        if text.strip():
            yield _block(text)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], to_the_right: Sequence[bool]) -> str:
    """Return a table whose columns are also straight for who reads the source."""
    lines = [[_cell(text) for text in row] for row in (head, *rows)]
    widths = [max(3, *(cell_len(line[index]) for line in lines)) for index in range(len(head))]
    rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, to_the_right, strict=True)]
    padded = [[_pad(*cell) for cell in zip(line, widths, to_the_right, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (padded[0], rule, *padded[1:]))


def _pad(text: str, width: int, to_the_right: bool) -> str:
    blank = " " * (width - cell_len(text))
    return blank + text if to_the_right else text + blank


def _cell(text: str) -> str:
    text = visible(text, one_line=True)
    return _text(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...")


def _text(text: str) -> str:
    """Return text that Markdown takes as text."""
    escaped = _ESCAPED.sub(r"\\\1", visible(text, one_line=True))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    return visible(text, one_line=True).replace("`", "'")


def _block(text: str) -> str:
    """Return a block of code whose fence no line of the text can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{visible(text)}\n{fence}"
