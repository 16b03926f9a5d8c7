"""Apply transforms one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from qvl.augmentation.sample import Sample

__all__ = ["Compose"]

Transform = Callable[[Sample, np.random.Generator], Sample]


class Compose:
    """Decides per sample whether it is augmented, and applies all transforms in order.

    Without transforms every sample stays as it is.
    """

    def __init__(self, *, transforms: Mapping[str, Transform], p: float = 1.0) -> None:
        """Name the transforms.

        Args:
            transforms: Name to transform; the order of the mapping is the order of application.
            p: Share of samples that are augmented at all.

        Raises:
            ValueError: `p` lies outside [0, 1].
        """
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"p must lie in [0, 1], got {p}")
        self.transforms = dict(transforms)
        self.p = p

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the augmented sample; the input is left as it is."""
        if rng.random() >= self.p:
            return sample
        for transform in self.transforms.values():
            sample = transform(sample, rng)
        return sample
