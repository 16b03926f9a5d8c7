"""Changes of pixels that leave shapes where they are: from an (H, W, 3) uint8 RGB picture to a new one.

Every function takes a picture of at least one pixel, also a view into another array, leaves it as it is and returns a
contiguous array of its own. A picture of another type or layout is a ValueError. Ranges of the other parameters are
checked by the transforms of `qvl.augmentation.color`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

__all__ = [
    "MAX_JPEG_SIDE",
    "add_noise",
    "adjust_color",
    "adjust_gamma",
    "adjust_hsv",
    "apply_clahe",
    "auto_contrast",
    "blur",
    "compress_jpeg",
    "sharpen",
]

MAX_JPEG_SIDE = 65_500  # pixels, a limit of libjpeg

_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow's mode L
_LEVELS = np.arange(256, dtype=np.float64)


def adjust_color(
    image: np.ndarray, *, brightness: float = 1.0, contrast: float = 1.0, saturation: float = 1.0
) -> np.ndarray:
    """Change brightness, then contrast, then saturation, by one matrix.

    Each factor alone agrees with Pillow's ImageEnhance to a level or two; 1 changes nothing. Together they differ from
    three calls of Pillow where those would cut at 0 or 255 in between: here only the end result is cut.

    Args:
        image: (H, W, 3) uint8 RGB.
        brightness: Factor >= 0; 0 is black.
        contrast: Factor >= 0 of the distance from the picture's mean grey; 0 is that grey everywhere.
        saturation: Factor >= 0 of the distance from a pixel's own grey; 0 is a grey picture.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    image = _picture(image)
    mean_grey = brightness * float(_GREY @ cv2.mean(image)[:3])
    mix = saturation * np.eye(3) + (1.0 - saturation) * _GREY  # every row sums to 1: a grey stays that grey
    offset = np.full((3, 1), (1.0 - contrast) * mean_grey)
    changed: np.ndarray = cv2.transform(image, np.hstack([brightness * contrast * mix, offset]))
    return changed


def adjust_gamma(image: np.ndarray, *, gamma: float, gain: float = 1.0) -> np.ndarray:
    """Return `gain * x ** gamma` for pixels x in [0, 1].

    Args:
        image: (H, W, 3) uint8 RGB.
        gamma: Exponent > 0; below 1 dark parts become lighter.
        gain: Factor > 0.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    return _look_up(_picture(image), _rounded(255.0 * gain * (_LEVELS / 255.0) ** gamma))


def adjust_hsv(
    image: np.ndarray, *, hue_degrees: float = 0.0, saturation: float = 1.0, value: float = 1.0
) -> np.ndarray:
    """Turn the hue and scale saturation and value.

    Each has 256 steps, so the hue turns by multiples of 1.4 degrees: a channel may be off by a dozen levels, on average
    it is by one. A change of nothing is not sent through HSV.

    Args:
        image: (H, W, 3) uint8 RGB.
        hue_degrees: Angle added to the hue; 120 turns red into green.
        saturation: Factor >= 0 of the saturation.
        value: Factor >= 0 of the value, the largest of the three channels.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    image = _picture(image)
    if hue_degrees % 360 == 0 and saturation == value == 1:
        return image.copy()
    hue = (np.arange(256) + round(hue_degrees / 360 * 256)) % 256
    table = np.stack([hue.astype(np.uint8), _rounded(saturation * _LEVELS), _rounded(value * _LEVELS)], axis=1)
    hsv = _look_up(_convert(image, cv2.COLOR_RGB2HSV_FULL), table[np.newaxis])
    return _convert(hsv, cv2.COLOR_HSV2RGB_FULL)


def apply_clahe(image: np.ndarray, *, clip_limit: float, tile_grid_size: tuple[int, int]) -> np.ndarray:
    """Equalise the lightness L of CIELAB in tiles, with limited contrast; a and b stay.

    Args:
        image: (H, W, 3) uint8 RGB.
        clip_limit: Most that a tile's contrast is raised, as a multiple of a flat histogram's bin, > 0.
        tile_grid_size: Number of tiles (across, down).

    Returns:
        (H, W, 3) uint8 RGB.
    """
    lab = _convert(_picture(image), cv2.COLOR_RGB2LAB)
    clahe = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=tile_grid_size)
    cv2.insertChannel(clahe.apply(cv2.extractChannel(lab, 0)), lab, 0)
    return _convert(lab, cv2.COLOR_LAB2RGB)


def auto_contrast(image: np.ndarray, *, cutoff: float = 0.0) -> np.ndarray:
    """Stretch every channel to 0..255, as Pillow's ImageOps.autocontrast does, but rounded where Pillow truncates.

    Args:
        image: (H, W, 3) uint8 RGB.
        cutoff: Percent of the darkest, and as much of the lightest, pixels of a channel that are not looked at, < 50.

    Returns:
        (H, W, 3) uint8 RGB. A channel of one level stays.
    """
    image = _picture(image)
    low, high = np.array([_levels_kept(image, channel, cutoff) for channel in range(3)]).T
    scale = 255.0 / (high - low)
    changed: np.ndarray = cv2.transform(image, np.column_stack([np.diag(scale), -low * scale]))
    return changed


def sharpen(image: np.ndarray, *, factor: float) -> np.ndarray:
    """Move the picture away from a smoothed one, or towards it, as Pillow's ImageEnhance.Sharpness does.

    Args:
        image: (H, W, 3) uint8 RGB.
        factor: 0 is smoothed, 1 changes nothing, above 1 is sharper.

    Returns:
        (H, W, 3) uint8 RGB. The outermost pixels stay.
    """
    image = _picture(image)
    # Pillow smooths by (1 1 1; 1 5 1; 1 1 1) / 13, that is 9/13 of the box mean and 4/13 of the pixel itself
    weight = (1.0 - factor) * 9.0 / 13.0
    changed: np.ndarray = cv2.addWeighted(image, 1.0 - weight, cv2.blur(image, (3, 3)), weight, 0.0)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        changed[edge] = image[edge]
    return changed


def blur(image: np.ndarray, *, sigma: float) -> np.ndarray:
    """Blur by a Gaussian.

    Args:
        image: (H, W, 3) uint8 RGB.
        sigma: Standard deviation in pixels, >= 0; 0 changes nothing.

    Returns:
        (H, W, 3) uint8 RGB. Outside the picture its mirror image is assumed.
    """
    image = _picture(image)
    changed: np.ndarray = cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0 else image.copy()
    return changed


def add_noise(image: np.ndarray, *, std: float, seed: int) -> np.ndarray:
    """Add Gaussian noise, independent for every pixel and channel.

    The noise is drawn directly in whole levels, from 16 random bits a value, so that it ends at about 4.2 `std`.

    Args:
        image: (H, W, 3) uint8 RGB.
        std: Standard deviation in levels of 255, >= 0; 0 changes nothing.
        seed: Seed of a PCG64, >= 0: the same seed and size give the same noise.

    Returns:
        (H, W, 3) uint8 RGB, cut at 0 and 255.
    """
    image = _picture(image)
    bits = np.random.PCG64(seed).random_raw(-(-image.size // 4)).view(np.uint16)[: image.size]
    changed: np.ndarray = cv2.add(image, _noise_levels(std)[bits].reshape(image.shape), dtype=cv2.CV_8U)
    return changed


def compress_jpeg(image: np.ndarray, *, quality: int) -> np.ndarray:
    """Write the picture as JPEG and read it back.

    Args:
        image: (H, W, 3) uint8 RGB, at most `MAX_JPEG_SIDE` wide and high.
        quality: JPEG quality from 1 to 100.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The picture is too long for the format.
    """
    image = _picture(image)
    if max(image.shape) > MAX_JPEG_SIDE:
        raise ValueError(f"image must have sides of at most {MAX_JPEG_SIDE} pixels for JPEG, got shape {image.shape}")
    _, content = cv2.imencode(".jpg", _convert(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV cannot read the JPEG that it wrote"
    return _convert(decoded, cv2.COLOR_BGR2RGB)


def _picture(image: np.ndarray) -> np.ndarray:
    """Return the picture in one piece of memory, itself where it already is."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image must be uint8 of shape (H >= 1, W >= 1, 3), got {image.dtype} {image.shape}")
    return np.ascontiguousarray(image)


def _convert(image: np.ndarray, code: int) -> np.ndarray:
    converted: np.ndarray = cv2.cvtColor(image, code)
    return converted


def _look_up(image: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Replace levels by a table of shape (256,) for all channels or (1, 256, 3) for each."""
    changed: np.ndarray = cv2.LUT(image, table)
    return changed


def _rounded(levels: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return rounded


def _levels_kept(image: np.ndarray, channel: int, cutoff: float) -> tuple[int, int]:
    """Return the lowest and the highest level of one channel that count; (0, 255) if they are the same."""
    counts = cv2.calcHist([image], [channel], None, [256], [0, 256]).ravel().astype(np.int64)
    ignored = int(counts.sum() * cutoff // 100)
    low = int(np.argmax(np.cumsum(counts) > ignored))
    high = 255 - int(np.argmax(np.cumsum(counts[::-1]) > ignored))
    return (low, high) if low < high else (0, 255)


def _noise_levels(std: float) -> np.ndarray:
    """Return (65536,) int16: whole levels, each as often as a rounded normal variable has it."""
    reach = math.ceil(5 * std)
    levels = np.arange(-reach, reach + 1, dtype=np.int16)
    below = [0.5 * (1.0 + math.erf((level + 0.5) / (std * math.sqrt(2.0)))) for level in range(-reach, reach)]
    edges = np.rint(65536 * np.array([0.0, *below, 1.0])).astype(np.int64)
    return np.repeat(levels, np.diff(edges))
