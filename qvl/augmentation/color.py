"""Transforms of pixels: parameters are drawn at the call, the pixels are changed when the sample is rendered."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from types import UnionType

import numpy as np

from qvl.augmentation import pixels
from qvl.augmentation.sample import PixelOp, Sample
from qvl.augmentation.transform import RandomTransform, check_number

__all__ = [
    "AutoContrast",
    "Blur",
    "Clahe",
    "ColorJitter",
    "Gamma",
    "Hsv",
    "JpegCompression",
    "Noise",
    "PixelTransform",
    "Sharpness",
]

Range = tuple[float, float]

_MAX_FACTOR = 10.0


@dataclass(frozen=True, kw_only=True)
class PixelTransform(RandomTransform):
    """Changes the pixels of a sample with probability `p`; shapes and canvas stay.

    A range is a pair (lo, hi), also a list of two; a value is drawn uniformly from it. Values outside the limits given
    with each attribute raise ValueError. Parameters are drawn in the order of the attributes.

    Attributes:
        p: Share of the samples that are changed, in [0, 1].
    """

    p: float = 1.0

    def _change(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return sample.with_pixels(self._draw(rng))

    @abstractmethod
    def _draw(self, rng: np.random.Generator) -> PixelOp:
        """Draw the parameters and return the operation, which can be pickled."""

    def _store_range(self, name: str, low: float, high: float) -> None:
        object.__setattr__(self, name, _checked_range(name, self.__dict__[name], low, high))


@dataclass(frozen=True, kw_only=True)
class ColorJitter(PixelTransform):
    """Changes brightness, contrast and saturation.

    Attributes:
        brightness: Range of the factor, in [0, 10].
        contrast: Range of the factor, in [0, 10].
        saturation: Range of the factor, in [0, 10].
    """

    brightness: Range = (0.7, 1.3)
    contrast: Range = (0.7, 1.3)
    saturation: Range = (0.7, 1.3)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("brightness", "contrast", "saturation"):
            self._store_range(name, 0.0, _MAX_FACTOR)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(
            pixels.adjust_color,
            brightness=rng.uniform(*self.brightness),
            contrast=rng.uniform(*self.contrast),
            saturation=rng.uniform(*self.saturation),
        )


@dataclass(frozen=True, kw_only=True)
class Gamma(PixelTransform):
    """Bends the tone curve.

    Attributes:
        gamma: Range of the exponent, in [0.01, 10].
        gain: Factor, in [0.01, 10].
    """

    gamma: Range = (0.7, 1.4)
    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store_range("gamma", 0.01, _MAX_FACTOR)
        check_number("gain", self.gain, 0.01, _MAX_FACTOR)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.adjust_gamma, gamma=rng.uniform(*self.gamma), gain=self.gain)


@dataclass(frozen=True, kw_only=True)
class Hsv(PixelTransform):
    """Turns the hue, scales saturation and value.

    Attributes:
        hue_degrees: Range of the angle that is added, in [-180, 180].
        saturation: Range of the factor, in [0, 10].
        value: Range of the factor, in [0, 10].
    """

    hue_degrees: Range = (-20.0, 20.0)
    saturation: Range = (0.7, 1.4)
    value: Range = (0.7, 1.4)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store_range("hue_degrees", -180.0, 180.0)
        self._store_range("saturation", 0.0, _MAX_FACTOR)
        self._store_range("value", 0.0, _MAX_FACTOR)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(
            pixels.adjust_hsv,
            hue_degrees=rng.uniform(*self.hue_degrees),
            saturation=rng.uniform(*self.saturation),
            value=rng.uniform(*self.value),
        )


@dataclass(frozen=True, kw_only=True)
class Clahe(PixelTransform):
    """Equalises lightness in tiles, with limited contrast.

    Attributes:
        clip_limit: Most that a tile's contrast is raised, in [0.1, 100].
        tile_grid_size: Number of tiles (across, down), each in [1, 64].
    """

    p: float = 0.5
    clip_limit: float = 3.0
    tile_grid_size: tuple[int, int] = (8, 8)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("clip_limit", self.clip_limit, 0.1, 100.0)
        object.__setattr__(self, "tile_grid_size", _checked_grid("tile_grid_size", self.tile_grid_size, 64))

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.apply_clahe, clip_limit=self.clip_limit, tile_grid_size=self.tile_grid_size)


@dataclass(frozen=True, kw_only=True)
class AutoContrast(PixelTransform):
    """Stretches every channel to the full range.

    Attributes:
        cutoff: Percent of the pixels of a channel that are not looked at, at each end, in [0, 49].
    """

    p: float = 0.5
    cutoff: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("cutoff", self.cutoff, 0.0, 49.0)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.auto_contrast, cutoff=self.cutoff)


@dataclass(frozen=True, kw_only=True)
class Sharpness(PixelTransform):
    """Sharpens or smooths by a small kernel.

    Attributes:
        factor: Range of the factor, in [0, 10]; 0 is smoothed, 1 changes nothing.
    """

    p: float = 0.4
    factor: Range = (0.5, 1.8)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store_range("factor", 0.0, _MAX_FACTOR)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.sharpen, factor=rng.uniform(*self.factor))


@dataclass(frozen=True, kw_only=True)
class Blur(PixelTransform):
    """Blurs by a Gaussian.

    Attributes:
        sigma: Range of the standard deviation in pixels of the canvas, in [0, 100].
    """

    p: float = 0.2
    sigma: Range = (0.3, 1.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store_range("sigma", 0.0, 100.0)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.blur, sigma=rng.uniform(*self.sigma))


@dataclass(frozen=True, kw_only=True)
class Noise(PixelTransform):
    """Adds Gaussian noise; its seed is drawn at the call, so rendering the sample again gives the same noise.

    Attributes:
        std: Range of the standard deviation in levels of 255, in [0, 255].
    """

    p: float = 0.2
    std: Range = (2.0, 10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store_range("std", 0.0, 255.0)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.add_noise, std=rng.uniform(*self.std), seed=int(rng.integers(2**63)))


@dataclass(frozen=True, kw_only=True)
class JpegCompression(PixelTransform):
    """Writes the picture as JPEG and reads it back.

    Attributes:
        quality: Range of the JPEG quality, in [1, 100]; what is drawn is rounded.
    """

    p: float = 0.2
    quality: Range = (50.0, 95.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._store_range("quality", 1.0, 100.0)

    def _draw(self, rng: np.random.Generator) -> PixelOp:
        return partial(pixels.compress_jpeg, quality=round(rng.uniform(*self.quality)))


def _is_pair(value: object, kind: type | UnionType) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(item, kind) and not isinstance(item, bool) for item in value)
    )


def _checked_range(name: str, value: Range, low: float, high: float) -> Range:
    if not (_is_pair(value, int | float) and low <= value[0] <= value[1] <= high):
        raise ValueError(f"{name} must be a range (lo, hi) with {low:g} <= lo <= hi <= {high:g}, got {value!r}")
    return float(value[0]), float(value[1])


def _checked_grid(name: str, value: tuple[int, int], high: int) -> tuple[int, int]:
    if not (_is_pair(value, int) and all(1 <= side <= high for side in value)):
        raise ValueError(f"{name} must be two whole numbers (across, down) in [1, {high}], got {value!r}")
    return value[0], value[1]
