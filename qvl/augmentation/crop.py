"""Crops around annotated objects."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qvl.augmentation.sample import Sample
from qvl.augmentation.transform import GeometricTransform, check_number
from qvl.geometry import Polyline, round_half_up, translation
from qvl.records import ObjectRecord

__all__ = ["RoiCrop"]

_SEPARATOR = re.compile(r"([,，])")
_COMPLETENESS_KEYS = ("key", "full", "partial", "below")


@dataclass(frozen=True, kw_only=True)
class RoiCrop(GeometricTransform):
    """Crops to a window around one object of a wanted kind; a sample without such an object stays as it is.

    The window is centred on the bounds of the object, on whole pixels, and pushed back inside the canvas where it would
    leave it. Lines are no anchors.

    Attributes:
        p: Share of the samples that are cropped, in [0, 1].
        anchors: Which objects: a key of the description and its values, such as {"type": ["device", "psu"]}. A token
            between commas has to be exactly `key=value`.
        scale_low: Smallest size of the window as a multiple of the object's, in [1, scale_high].
        scale_high: Largest multiple, at most 100.
        min_size: Smallest side of the window in pixels of the canvas; never more than the canvas has.
        completeness: None, or {"key", "full", "partial", "below"}: where a smaller share than `below` of an object is
            seen after the crop, the token `key=full` of its description becomes `key=partial`. Only a whole token
            between commas is rewritten.
    """

    crops: ClassVar[bool] = True

    anchors: Mapping[str, Sequence[str]]
    scale_low: float = 1.2
    scale_high: float = 2.0
    min_size: int = 320
    completeness: Mapping[str, str | float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("scale_high", self.scale_high, 1.0, 100.0)
        check_number("scale_low", self.scale_low, 1.0, self.scale_high)
        check_number("min_size", self.min_size, 1, math.inf)
        if not self.anchors or any(isinstance(values, str) or not values for values in self.anchors.values()):
            raise ValueError(f"anchors must name a key and a list of values, got {self.anchors!r}")
        if self.completeness is not None:
            _check_completeness(self.completeness)

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        number, scale = rng.random(), rng.uniform(self.scale_low, self.scale_high)
        whole = sample.cut()
        anchors = [item for item in whole.record.objects if self._is_anchor(item)]
        if not anchors:
            return sample
        x1, y1, x2, y2 = anchors[int(number * len(anchors))].shape.bounds()
        left, width = self._window(x1, x2, scale, whole.view.width)
        top, height = self._window(y1, y2, scale, whole.view.height)
        cropped = whole.moved(translation(-left, -top), width=width, height=height).cut()
        return cropped if self.completeness is None else _with_completeness(cropped, self.completeness)

    def _is_anchor(self, item: ObjectRecord) -> bool:
        if isinstance(item.shape, Polyline):
            return False
        wanted = {f"{key}={value}" for key, values in self.anchors.items() for value in values}
        return any(token.strip() in wanted for token in _SEPARATOR.split(item.desc))

    def _window(self, start: float, end: float, scale: float, side: int) -> tuple[int, int]:
        """Return the first pixel and the number of pixels of the window along one side of the canvas."""
        size = min(max(round_half_up((end - start) * scale), self.min_size, 1), side)
        first = round_half_up((start + end) / 2 - size / 2)
        return min(max(first, 0), side - size), size


def _check_completeness(rule: Mapping[str, str | float]) -> None:
    if sorted(rule) != sorted(_COMPLETENESS_KEYS):
        raise ValueError(f"completeness needs the keys {', '.join(_COMPLETENESS_KEYS)}, got {', '.join(rule)}")
    for name in ("key", "full", "partial"):
        text = rule[name]
        if not isinstance(text, str) or not text.strip() or _SEPARATOR.search(text):
            raise ValueError(f"completeness.{name} must be a text without commas, got {text!r}")
    check_number("completeness.below", rule["below"], 0.0, 1.0)


def _with_completeness(sample: Sample, rule: Mapping[str, str | float]) -> Sample:
    """Rewrite the descriptions of the objects of which too little is seen."""
    full, partial = f"{rule['key']}={rule['full']}", f"{rule['key']}={rule['partial']}"
    objects = [
        replace(item, desc=_with_token(item.desc, full, partial)) if seen.coverage < float(rule["below"]) else item
        for item, seen in zip(sample.annotated.objects, sample.seen, strict=True)
    ]
    return replace(sample, annotated=replace(sample.annotated, objects=tuple(objects)))


def _with_token(desc: str, old: str, new: str) -> str:
    """Replace every whole token `old` by `new`; all else stays, spaces and separators too."""
    parts = [part.replace(old, new) if part.strip() == old else part for part in _SEPARATOR.split(desc)]
    return "".join(parts)
