"""Parameters that change in the course of the training."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

__all__ = ["Phase", "Value", "parse_phases", "values_at"]

Value: TypeAlias = float | tuple[float, ...]
"""A parameter that can be interpolated: a number, or several."""


@dataclass(frozen=True, slots=True)
class Phase:
    """What holds at one point of the training.

    Attributes:
        until: The point, as a fraction of the training in [0, 1].
        values: The value of every parameter that any phase names.
    """

    until: float
    values: Mapping[str, Value]


def parse_phases(curriculum: Sequence[Mapping[str, object]], base: Mapping[str, Value]) -> tuple[Phase, ...]:
    """Read a curriculum as it is written in the configuration.

    Args:
        curriculum: Mappings with `until`, a fraction in (0, 1] that grows from phase to phase, and `values`: name of a
            parameter to its value at that point. A phase that leaves a parameter out keeps its last value.
        base: The parameters there are, with the values at the start.

    Returns:
        The start and then every phase; () for an empty curriculum.

    Raises:
        ValueError: A key, a fraction, a name or a value cannot be used.
    """
    phases: list[Phase] = []
    values: dict[str, Value] = {}
    for number, written in enumerate(curriculum, start=1):
        place = f"curriculum, phase {number}"
        if sorted(written) != ["until", "values"]:
            raise ValueError(
                f"{place}: expected the keys until and values, got {', '.join(map(str, written)) or 'none'}"
            )
        until, changes = written["until"], written["values"]
        last = phases[-1].until if phases else 0.0
        if not _is_number(until) or not last < until <= 1:
            raise ValueError(f"{place}: until must be a fraction in ({last:g}, 1], got {until!r}")
        if not isinstance(changes, Mapping) or not changes:
            raise ValueError(f"{place}: values must name a parameter, got {changes!r}")
        values = values | {name: _value(place, name, value, base) for name, value in changes.items()}
        phases.append(Phase(until, values))
    if not phases:
        return ()
    full = {name: base[name] for name in values}
    return (Phase(0.0, full), *(Phase(phase.until, full | dict(phase.values)) for phase in phases))


def values_at(phases: Sequence[Phase], progress: float) -> dict[str, Value]:
    """Return the values at one point of the training: linear from phase to phase, then those of the last phase.

    Args:
        phases: Of `parse_phases`, at least one.
        progress: Fraction of the training that is done, in [0, 1].

    Raises:
        ValueError: `progress` lies outside [0, 1].
    """
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"progress must lie in [0, 1], got {progress}")
    if progress >= phases[-1].until:
        return dict(phases[-1].values)
    number = next(number for number, phase in enumerate(phases) if progress < phase.until)
    start, end = phases[number - 1], phases[number]
    share = (progress - start.until) / (end.until - start.until)
    return {name: _between(value, end.values[name], share) for name, value in start.values.items()}


def _nearest(name: str, known: Iterable[str]) -> str:
    """Return what a misspelt name may have meant, as the end of a message."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"


def _value(place: str, name: str, value: object, base: Mapping[str, Value]) -> Value:
    """Check one value against the parameter it is meant for."""
    if name not in base:
        raise ValueError(f"{place}: there is no parameter {name}; {_nearest(name, base)}")
    now = base[name]
    if isinstance(now, tuple):
        if isinstance(value, list | tuple) and len(value) == len(now) and all(_is_number(item) for item in value):
            return tuple(value)
        raise ValueError(f"{place}: {name} must be {len(now)} numbers, got {value!r}")
    if not _is_number(value):
        raise ValueError(f"{place}: {name} must be a number, got {value!r}")
    return value


def _between(start: Value, end: Value, share: float) -> Value:
    if isinstance(start, tuple) and isinstance(end, tuple):
        return tuple(a + (b - a) * share for a, b in zip(start, end, strict=True))
    if isinstance(start, tuple) or isinstance(end, tuple):
        raise TypeError(f"{start} and {end} cannot be interpolated")
    return start + (end - start) * share


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
