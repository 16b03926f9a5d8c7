"""Apply transforms one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qvl.augmentation.canvas import ExpandToFit
from qvl.augmentation.curriculum import Value, parse_phases, values_at
from qvl.augmentation.sample import MIN_COVERAGE, Sample
from qvl.augmentation.transform import GeometricTransform, Transform, check_number
from qvl.records import Record

__all__ = ["Compose"]

_WHOLE_NUMBERS = (int, "int", "int | None", "tuple[int, int]")
"""How parameters are declared that a curriculum rounds."""


class Compose:
    """Decides per sample whether it is augmented, and applies all transforms in order.

    Without transforms every sample stays as it is. A sample whose last object would leave stays as it is too, so no
    row is lost. Every transform draws from a generator of its own: another probability or range of one transform, also
    by the curriculum, changes nothing that the others draw.
    """

    def __init__(
        self,
        *,
        transforms: Mapping[str, Transform],
        p: float = 1.0,
        min_coverage: float = MIN_COVERAGE,
        curriculum: Sequence[Mapping[str, object]] = (),
    ) -> None:
        """Name the transforms.

        Args:
            transforms: Name to transform; the order of the mapping is the order of application.
            p: Share of samples that are augmented at all.
            min_coverage: Share of an object, in [0, 1], that has to be seen; after every geometric transform, objects
                of which less is seen leave the target.
            curriculum: Phases `{"until": 0.4, "values": {"p": 0.8, "rotate.max_degrees": 17}}`: up to this fraction
                of the training the values move linearly to those given, then on to the next phase; after the last
                one they stay. Parameters are `p` and `<name of a transform>.<parameter>`.

        Raises:
            ValueError: A number lies outside its range, a geometric transform stands after ExpandToFit, or a phase
                names a parameter that does not exist or a value that the transform refuses.
        """
        check_number("p", p, 0.0, 1.0)
        check_number("min_coverage", min_coverage, 0.0, 1.0)
        self.transforms = dict(transforms)
        self.p = p
        self.min_coverage = min_coverage
        _check_order(self.transforms)
        self._phases = parse_phases(curriculum, {"p": p, **_parameters(self.transforms)}) if curriculum else ()
        for phase in self._phases:
            self._with(phase.values, place=f"curriculum, at {phase.until:g}")

    def __call__(self, sample: Sample, rng: np.random.Generator, *, progress: float = 0.0) -> Sample:
        """Return the augmented sample; the input is left as it is.

        Args:
            sample: The sample as it was annotated.
            rng: The only source of randomness.
            progress: Fraction of the training that is done, in [0, 1], for the curriculum.
        """
        p, transforms = self._at(progress)
        if rng.random() >= p:
            return sample
        seeds = rng.integers(2**63, size=len(transforms)).tolist()
        fits = any(isinstance(transform, ExpandToFit) for transform in transforms.values())
        result = replace(sample, min_coverage=self.min_coverage)
        result = result.deferred() if fits else result
        for transform, seed in zip(transforms.values(), seeds, strict=True):
            result = transform(result, np.random.default_rng(seed))
        result = result.settled()
        return sample if result.is_empty else result

    @property
    def idle(self) -> bool:
        """Whether no sample is ever changed."""
        return not self.transforms or not (self.p or self._phases)

    def check_task(self, mode: str) -> None:
        """Refuse transforms that are unsafe for a task.

        Args:
            mode: Task of the data: "dense" or "summary". A summary counts what the whole picture shows, so nothing may
                leave its sight.

        Raises:
            ValueError: The mode is unknown, or a transform may take objects out of sight of a summary.
        """
        if mode not in ("dense", "summary"):
            raise ValueError(f"mode must be dense or summary, got {mode!r}")
        unsafe = [name for name, transform in self.transforms.items() if transform.crops]
        if mode == "summary" and unsafe:
            raise ValueError(
                f"transforms {', '.join(unsafe)}: may take objects out of sight that the summary counts; "
                f"delete them for data of mode summary: flips, ResizeByScale and changes of colour are safe"
            )

    def refused(self, record: Record) -> tuple[str, ...]:
        """Return the names of the transforms that the words of a record forbid, for a count before training."""
        geometric = ((name, item) for name, item in self.transforms.items() if isinstance(item, GeometricTransform))
        return tuple(name for name, transform in geometric if transform.refused(record))

    def _at(self, progress: float) -> tuple[float, Mapping[str, Transform]]:
        if not self._phases:
            return self.p, self.transforms
        return self._with(values_at(self._phases, progress), place=f"curriculum, at {progress:g}")

    def _with(self, values: Mapping[str, Value], *, place: str) -> tuple[float, Mapping[str, Transform]]:
        """Return `p` and the transforms with other values of some parameters."""
        p: Any = values.get("p", self.p)
        transforms = dict(self.transforms)
        try:
            check_number("p", p, 0.0, 1.0)
            for name, changes in _by_transform(values).items():
                transforms[name] = _changed(transforms[name], changes)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        return p, transforms


def _check_order(transforms: Mapping[str, Transform]) -> None:
    """Refuse geometric transforms after the one that fits the canvas to all the others."""
    fitting = None
    for name, transform in transforms.items():
        if fitting is not None and isinstance(transform, GeometricTransform):
            raise ValueError(
                f"transforms: {name} ({type(transform).__name__}) stands after {fitting}, an ExpandToFit, which has to "
                f"be the last geometric transform; write {name} before {fitting}"
            )
        if isinstance(transform, ExpandToFit):
            fitting = name


def _parameters(transforms: Mapping[str, Any]) -> dict[str, Value]:
    """Return every parameter that a curriculum may change: numbers and tuples of numbers, by `name.parameter`."""
    found: dict[str, Value] = {}
    for name, transform in transforms.items():
        if not dataclasses.is_dataclass(transform):
            continue
        for field in dataclasses.fields(transform):
            value = getattr(transform, field.name)
            items = value if isinstance(value, tuple) else (value,)
            if items and all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
                found[f"{name}.{field.name}"] = value
    return found


def _by_transform(values: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Sort `name.parameter` by the name of the transform; names of transforms may hold dots, parameters do not."""
    found: dict[str, dict[str, Value]] = {}
    for path, value in values.items():
        name, dot, parameter = path.rpartition(".")
        if dot:
            found.setdefault(name, {})[parameter] = value
    return found


def _changed(transform: Any, changes: Mapping[str, Value]) -> Any:
    """Return a transform with other parameters; those that are declared as whole numbers are rounded."""
    whole = {field.name for field in dataclasses.fields(transform) if field.type in _WHOLE_NUMBERS}
    return replace(transform, **{name: _rounded(value) if name in whole else value for name, value in changes.items()})


def _rounded(value: Value) -> Value:
    return tuple(round(item) for item in value) if isinstance(value, tuple) else round(value)
