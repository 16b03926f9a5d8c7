"""Whether several ways to prepare the same prompt give the same: text, tokens and pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Disagreement", "EncodedPrompt", "compare_prompts"]

_SHOWN = 24


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """What a model is given before it answers.

    Attributes:
        text: The chat text, one placeholder a picture.
        input_ids: (tokens,) int64, all placeholders of the pictures in it.
        pixel_values: (patches of all pictures, 3 x frames x patch size^2) float32, normalised.
        grids: (pictures, 3) int64: frames, rows and columns of patches.
    """

    text: str
    input_ids: np.ndarray
    pixel_values: np.ndarray
    grids: np.ndarray


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two ways to prepare a prompt that differ.

    Attributes:
        where: The row.
        part: `text`, `input_ids`, `pixel_values` or `grids`.
        ways: Names of the two.
        message: What the two have, at the first place where they differ.
    """

    where: str
    part: str
    ways: tuple[str, str]
    message: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.where}: {self.part}: {self.ways[0]} and {self.ways[1]} differ: {self.message}"


def compare_prompts(prompts: Mapping[str, EncodedPrompt], *, where: str) -> list[Disagreement]:
    """Compare every way with the first one, byte by byte.

    Args:
        prompts: The same prompt, prepared in several ways, by name.
        where: The row, for messages.

    Returns:
        One entry a part that differs; [] if all are the same.

    Raises:
        ValueError: There is nothing to compare.
    """
    if len(prompts) < 2:
        raise ValueError(f"there must be at least 2 ways to compare, got {len(prompts)}")
    (first, expected), *others = prompts.items()
    return [
        Disagreement(where, part, (first, name), message)
        for name, prompt in others
        for part, message in _differences(expected, prompt)
    ]


def _differences(expected: EncodedPrompt, other: EncodedPrompt) -> Iterator[tuple[str, str]]:
    if expected.text != other.text:
        yield "text", _text_difference(expected.text, other.text)
    for part in ("input_ids", "grids", "pixel_values"):
        if message := _array_difference(getattr(expected, part), getattr(other, part)):
            yield part, message


def _text_difference(expected: str, other: str) -> str:
    pairs = enumerate(zip(expected, other, strict=False))
    place = next((number for number, (one, two) in pairs if one != two), min(len(expected), len(other)))
    ours, theirs = (text[place : place + _SHOWN] for text in (expected, other))
    return f"at character {place}: {ours!r} and {theirs!r}"


def _array_difference(expected: np.ndarray, other: np.ndarray) -> str:
    if (expected.shape, expected.dtype) != (other.shape, other.dtype):
        return f"{expected.dtype} {expected.shape} and {other.dtype} {other.shape}"
    if expected.tobytes() == other.tobytes():
        return ""
    places = np.argwhere(expected != other)
    if not len(places):
        return "in the bits of equal numbers"  # -0.0 and 0.0, or NaN
    place = tuple(int(number) for number in places[0])
    most = np.abs(expected.astype(np.float64) - other.astype(np.float64)).max()
    return (
        f"{len(places)} of {expected.size} numbers, the first at {list(place)}: {expected[place]} and {other[place]}, "
        f"at most by {most:.3g}"
    )
