"""Fonts: the one that comes with Pillow, and those of this machine for what it cannot write."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from PIL import ImageFont

from qvl.errors import QvlError

__all__ = ["FONT_ADVICE", "FontBook", "can_draw", "default_font"]

FONT_ADVICE: Final = "install a font that has them, such as fonts-noto-cjk on Debian and Ubuntu for Chinese"
"""What to do about characters that no font has."""

_FOLDERS: Final = (
    "~/.fonts",
    "~/.local/share/fonts",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "C:/Windows/Fonts",
)
_ENDINGS: Final = (".ttf", ".ttc", ".otf", ".otc")
_PREFERRED: Final = ("notosanscjk", "sourcehan", "wqy", "wenquanyi", "pingfang", "msyh", "notosans", "dejavusans")
_NOT_PREFERRED: Final = ("bold", "black", "thin", "light", "italic", "oblique", "condensed", "narrow", "mono", "serif")
_NO_CHARACTER: Final = "\U0010ffff"  # no font has a glyph for it, so it shows what a missing one looks like
_PROBE_SIZE: Final = 16


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
    """Return whether Pillow's own font has every character of a text; a Chinese one, for example, it cannot write."""
    return text.isprintable() and all(_has(default_font(_PROBE_SIZE), character) for character in set(text))


class FontBook:
    """Finds a font that can write a text: Pillow's own first, then those of this machine.

    Attributes:
        unwritten: Texts that no font could write, and how often one was asked for.
    """

    def __init__(self, folders: Sequence[str | Path] = _FOLDERS) -> None:
        """Remember where to look; nothing is opened before it is needed.

        Args:
            folders: Folders of fonts, looked through with all below them; () for Pillow's own font alone.
        """
        self.unwritten: dict[str, int] = {}
        self._folders = [Path(folder).expanduser() for folder in folders]
        self._chosen: dict[frozenset[str], str | None] = {}
        self._fonts: dict[tuple[str, int], ImageFont.FreeTypeFont] = {}

    def font(self, text: str, size: int) -> ImageFont.FreeTypeFont | None:
        """Return a font that has every character of a text, or None.

        Args:
            text: One line.
            size: Height of a line in pixels, roughly.
        """
        if can_draw(text):
            return default_font(size)
        characters = frozenset(text)
        if characters not in self._chosen:
            self._chosen[characters] = self._choose(text)
        path = self._chosen[characters]
        if path is None:
            self.unwritten[text] = self.unwritten.get(text, 0) + 1
            return None
        if (path, size) not in self._fonts:
            self._fonts[path, size] = ImageFont.truetype(path, size)
        return self._fonts[path, size]

    def _choose(self, text: str) -> str | None:
        if not text.isprintable():
            return None
        known = [path for path in self._chosen.values() if path is not None]
        return next((path for path in (*dict.fromkeys(known), *self._paths) if _writes(path, text)), None)

    @functools.cached_property
    def _paths(self) -> list[str]:
        """All fonts of the folders, upright sans serif first: those that are most likely to have what is missing."""
        paths = {str(path) for folder in self._folders for path in _font_files(folder)}
        return sorted(paths, key=lambda path: (_rank(path), path))


def _font_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.lower().endswith(_ENDINGS))


def _rank(path: str) -> tuple[int, int]:
    name = Path(path).stem.lower().replace("-", "").replace(" ", "")
    family = next((number for number, start in enumerate(_PREFERRED) if name.startswith(start)), len(_PREFERRED))
    return family, sum(style in name for style in _NOT_PREFERRED)


def _writes(path: str, text: str) -> bool:
    try:
        font = ImageFont.truetype(path, _PROBE_SIZE)
        return all(_has(font, character) for character in set(text))
    except OSError:  # no font, a damaged one, or one of bitmaps only
        return False


def _has(font: ImageFont.FreeTypeFont, character: str) -> bool:
    return character.isspace() or _glyph(font, character) != _glyph(font, _NO_CHARACTER)


@functools.lru_cache(maxsize=4096)
def _glyph(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
