"""The font that comes with Pillow, and what can be written in it."""

from __future__ import annotations

import functools

from PIL import ImageFont

from qvl.errors import QvlError

__all__ = ["can_draw", "default_font"]

_NO_CHARACTER = "\U0010ffff"  # no font has a glyph for it, so it shows what a missing one looks like
_PROBE_SIZE = 16


@functools.cache
def default_font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font: the same letters on every machine, but hardly more than ASCII.

    Args:
        size: Height of a line in pixels, roughly.

    Raises:
        QvlError: Pillow was built without FreeType.
    """
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise QvlError("this Pillow was built without FreeType and cannot write text; install the wheel from PyPI")
    return font


def can_draw(text: str) -> bool:
    """Return whether the font has every character of a text; a Chinese one, for example, it cannot write."""
    return text.isprintable() and all(_glyph(character) != _glyph(_NO_CHARACTER) for character in set(text))


@functools.lru_cache(maxsize=4096)
def _glyph(character: str) -> tuple[tuple[int, int], bytes]:
    mask = default_font(_PROBE_SIZE).getmask(character)
    return mask.size, bytes(mask)
