"""Plots as inline SVG: curves over steps, and a metric over the values of a swept key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qvl.sweep.axes import Axis, make_axis, thin
from qvl.sweep.job import Curve, Point
from qvl.sweep.markup import escape
from qvl.sweep.settings import as_number
from qvl.sweep.statistics import Effect, Level
from qvl.sweep.words import tell_number

__all__ = ["Pen", "draw_curves", "draw_effect"]

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 12, 40
LABELS_LEFT, ROW_HEIGHT = 190, 34
MOST_POINTS, FEWEST_POINTS = 400, 60  # of a curve
MOST_IN_ALL = 12_000  # points of a plot, as long as every curve has the fewest
MOST_DOTS = 800  # of a plot; with more the lines alone are drawn
LONGEST_LABEL = 28
MOST_TICKS = 6  # values of a key that have room below a plot


@dataclass(frozen=True, slots=True)
class Pen:
    """How a job is drawn.

    Attributes:
        number: Place of the job in the sweep, by which plots, legend and table find each other.
        label: Name and settings of the job.
        color: CSS colour.
        dashes: Dash pattern, "" for a whole line.
    """

    number: int
    label: str
    color: str
    dashes: str


def draw_curves(name: str, curves: Sequence[tuple[Pen, Curve]]) -> str:
    """Return a plot of one logged number, a line for each job.

    Args:
        name: Of the number.
        curves: Those with at least one point.
    """
    steps = [point.step for _, curve in curves for point in curve.points]
    values = [point.value for _, curve in curves for point in curve.points]
    across = make_axis([float(step) for step in steps], LEFT, WIDTH - RIGHT)
    across = Axis(min(steps), max(steps), across.start, across.end) if min(steps) < max(steps) else across
    up = make_axis(values, HEIGHT - BOTTOM, TOP)
    most = min(MOST_POINTS, max(FEWEST_POINTS, MOST_IN_ALL // len(curves)))
    shown = [(pen, curve, thin(curve.points, most)) for pen, curve in curves]
    dots = sum(len(points) for _, _, points in shown) <= MOST_DOTS
    lines = "".join(_curve(pen, curve, _places(points, across, up), dots=dots) for pen, curve, points in shown)
    grid = "".join((*_columns(across, "step", HEIGHT), *_rows(up)))
    return _svg(HEIGHT, f"{name} over steps", grid + lines)


def draw_effect(effect: Effect, metric: str, pens: Mapping[str, Pen]) -> str:
    """Return a plot of the scores for each value of a key: dots are runs, with mean and standard deviation.

    Args:
        effect: With at least one level.
        metric: Name of the score.
        pens: How the jobs are called, by name.
    """
    if effect.is_numeric and len(effect.levels) > 1:
        return _over_numbers(effect, metric, pens)
    return _over_words(effect, metric, pens)


def _over_numbers(effect: Effect, metric: str, pens: Mapping[str, Pen]) -> str:
    numbers = [as_number(level.value or "") or 0.0 for level in effect.levels]
    across = make_axis(numbers, LEFT, WIDTH - RIGHT, may_be_log=True)
    up = make_axis(_extent(effect.levels), HEIGHT - BOTTOM, TOP)
    places = [
        (across.place(number), up.place(level.summary.mean))
        for number, level in zip(numbers, effect.levels, strict=True)
    ]
    ticks = list(zip(numbers, (level.value or "" for level in effect.levels), strict=True))
    parts = [*_columns(across, effect.key, HEIGHT, ticks if len(ticks) <= MOST_TICKS else ()), *_rows(up)]
    parts.append(f'<polyline class="means" points="{_points(places)}"/>')
    for (x, y), level in zip(places, effect.levels, strict=True):
        low, high = _whisker(level)
        parts.append(f'<path class="whisker" d="M{x:.1f} {up.place(low):.1f}V{up.place(high):.1f}"/>')
        parts += [_dot(x, up.place(run.score), pens[run.name], metric, run.score) for run in level.runs]
        parts.append(f'<path class="mean" d="M{x - 9:.1f} {y:.1f}h18">{_mean_title(level, metric)}</path>')
    return _svg(HEIGHT, f"{metric} over {effect.key}", "".join(parts))


def _over_words(effect: Effect, metric: str, pens: Mapping[str, Pen]) -> str:
    height = TOP + ROW_HEIGHT * len(effect.levels) + BOTTOM
    across = make_axis(_extent(effect.levels), LABELS_LEFT, WIDTH - RIGHT)
    parts = [*_columns(across, metric, height)]
    for number, level in enumerate(effect.levels):
        y = TOP + ROW_HEIGHT * (number + 0.5)
        low, high = _whisker(level)
        name = level.value if level.value is not None else "(not given)"
        short = name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
        parts.append(f'<text x="{LABELS_LEFT - 10}" y="{y + 4:.1f}" class="end">{_title(name)}{escape(short)}</text>')
        parts.append(f'<path class="whisker" d="M{across.place(low):.1f} {y:.1f}H{across.place(high):.1f}"/>')
        parts += [_dot(across.place(run.score), y, pens[run.name], metric, run.score) for run in level.runs]
        x = across.place(level.summary.mean)
        parts.append(f'<path class="mean" d="M{x:.1f} {y - 9:.1f}v18">{_mean_title(level, metric)}</path>')
    return _svg(height, f"{metric} by {effect.key}", "".join(parts))


def _whisker(level: Level) -> tuple[float, float]:
    """Return mean minus and plus one standard deviation."""
    std = level.summary.std or 0.0
    return level.summary.mean - std, level.summary.mean + std


def _extent(levels: Sequence[Level]) -> list[float]:
    ends = [end for level in levels for end in _whisker(level)]
    return [*ends, *(run.score for level in levels for run in level.runs)]


def _places(points: Sequence[Point], across: Axis, up: Axis) -> list[tuple[float, float, Point]]:
    return [(across.place(point.step), up.place(point.value), point) for point in points]


def _curve(pen: Pen, curve: Curve, places: Sequence[tuple[float, float, Point]], *, dots: bool) -> str:
    last = curve.points[-1]
    lost = f"\n{curve.num_lost} values were not finite" if curve.num_lost else ""
    label = _title(f"{pen.label}\n{tell_number(last.value)} at step {last.step}{lost}")
    dashes = f' stroke-dasharray="{pen.dashes}"' if pen.dashes else ""
    line = f'points="{_points([(x, y) for x, y, _ in places])}"'
    marks = ""
    if dots or len(places) == 1:
        marks = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{pen.color}">'
            f"{_title(f'{pen.label}, step {point.step}: {tell_number(point.value)}')}</circle>"
            for x, y, point in places
        )
    return (
        f'<g class="curve" data-job="{pen.number}">{label}<polyline class="hit" {line}/>'
        f'<polyline class="line" stroke="{pen.color}"{dashes} {line}/>{marks}</g>'
    )


def _dot(x: float, y: float, pen: Pen, metric: str, score: float) -> str:
    label = _title(f"{pen.label}\n{metric} {tell_number(score)}")
    return f'<circle class="run" data-job="{pen.number}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">{label}</circle>'


def _mean_title(level: Level, metric: str) -> str:
    spread = f" ± {tell_number(level.summary.std)}" if level.summary.std is not None else ""
    return _title(f"mean {metric} {tell_number(level.summary.mean)}{spread}, {level.summary.count} runs")


def _columns(axis: Axis, name: str, height: float, ticks: Sequence[tuple[float, str]] = ()) -> Iterator[str]:
    """Yield vertical grid lines with their values below, and the name of the axis."""
    bottom = height - BOTTOM
    for value, text in ticks or [(value, _tick(value, is_log=axis.is_log)) for value in axis.ticks()]:
        x = axis.place(value)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 16}" class="middle">{escape(text)}</text>'
    middle = (axis.start + axis.end) / 2
    yield f'<text x="{middle:.1f}" y="{height - 6}" class="middle name">{escape(name)}</text>'


def _rows(axis: Axis) -> Iterator[str]:
    """Yield horizontal grid lines with their values to the left."""
    for value in axis.ticks():
        y = axis.place(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" class="end">{_tick(value)}</text>'


def _tick(value: float, *, is_log: bool = False) -> str:
    if is_log:
        number, _, power = f"{value:.1e}".partition("e")
        return f"{float(number):g}e{int(power)}"
    return f"{value:.10g}" if abs(value) < 1e5 and (value == 0 or abs(value) >= 1e-3) else f"{value:.2g}"


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _svg(height: float, label: str, content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{content}</svg>'
