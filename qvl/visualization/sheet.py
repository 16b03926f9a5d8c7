"""Cards as PNG files: the panels side by side, with headings, for where there is no browser."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path, PurePath

from PIL import Image, ImageDraw

from qvl.visualization.card import Card, Panel
from qvl.visualization.drawing import Mark, draw_marks
from qvl.visualization.fonts import FontBook, default_font

__all__ = ["draw_sheet", "write_sheets"]

WIDTH, MOST_HEIGHT = 640, 960  # of a picture on a sheet
MOST_COLUMNS = 3
GAP, LINE, FONT_SIZE = 16, 26, 17
PAPER, INK, FAINT, ALARM = "#ffffff", "#1f2430", "#5b6475", "#8a1f11"
_LONGEST_STEM = 80
_LETTER, _BAR = 9, 6  # pixels: width of a letter on average, and of the bar before an item


def write_sheets(cards: Iterable[Card], folder: Path, *, fonts: FontBook) -> int:
    """Write a PNG file for each card, named by its number and its picture; return how many.

    Args:
        cards: Taken one at a time.
        folder: An existing folder.
        fonts: For the headings and the labels of the objects.

    Raises:
        OSError: A file cannot be written.
    """
    count = 0
    for count, card in enumerate(cards, 1):
        stem = re.sub(r"[^\w.-]+", "_", PurePath(card.name).stem or card.heading)[:_LONGEST_STEM]
        draw_sheet(card, fonts=fonts).save(folder / f"{count:04d}_{stem}.png")
    return count


def draw_sheet(card: Card, *, fonts: FontBook, max_side: int | None = None) -> Image.Image:
    """Return the panels of a card side by side, with headings above them.

    Args:
        card: What to show.
        fonts: For the headings and the labels of the objects.
        max_side: About the longest side of the sheet in pixels; None for panels that are 640 pixels wide.
    """
    columns = max(1, min(MOST_COLUMNS, len(card.panels)))
    room = _room(card, columns, max_side)
    drawn = [_draw_panel(panel, fonts, room) for panel in card.panels]
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    width = columns * (room[0] + GAP) + GAP
    lines = [("  ".join((card.heading, card.name, *card.stress)), INK), (card.origin, FAINT)]
    lines += [(f"{code} {where}: {message}", ALARM) for code, where, message in card.faults]
    top = GAP + len(lines) * LINE
    sheet = Image.new("RGB", (width, top + sum(_height(row) for row in rows)), PAPER)
    for number, (text, color) in enumerate(lines):
        _write(sheet, text, (GAP, GAP + number * LINE), color, fonts)
    panels = iter(card.panels)
    for row in rows:
        for column, (image, panel) in enumerate(zip(row, panels, strict=False)):
            left = GAP + column * (room[0] + GAP)
            _write(sheet, f"{panel.heading}  {panel.remark}", (left, top), INK, fonts, room=room[0])
            sheet.paste(image, (left, top + LINE))
        top += _height(row)
    return sheet


def _height(row: list[Image.Image]) -> int:
    return LINE + max(image.height for image in row) + GAP


def _room(card: Card, columns: int, max_side: int | None) -> tuple[int, int]:
    """Return the greatest (width, height) of a panel."""
    if max_side is None:
        return WIDTH, MOST_HEIGHT
    rows = max(1, -(-len(card.panels) // columns))
    text = GAP + (2 + len(card.faults) + rows) * LINE + rows * GAP
    return max(1, (max_side - GAP) // columns - GAP), max(1, (max_side - text) // rows)


def _draw_panel(panel: Panel, fonts: FontBook, room: tuple[int, int]) -> Image.Image:
    if panel.image is None:
        return _draw_texts(panel, fonts, room)
    width, height = panel.image.size
    factor = min(room[0] / width, room[1] / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = Image.Resampling.NEAREST if panel.exact and factor > 1 else Image.Resampling.LANCZOS
    marks = [
        Mark(item.shape, item.color, str(number), item.name)
        for number, item in enumerate(panel.items, 1)
        if item.shape is not None
    ]
    return draw_marks(panel.image.resize(size, method), marks, extent=panel.extent, fonts=fonts)


def _draw_texts(panel: Panel, fonts: FontBook, room: tuple[int, int]) -> Image.Image:
    """Return the text of a panel and the list of its items, each line with a bar in the colour of its item."""
    lines = [(line, "") for line in textwrap.wrap(panel.text, max(8, room[0] // _LETTER))]
    lines += [(" ".join(filter(None, (item.desc, item.note, item.stress))), item.color) for item in panel.items]
    image = Image.new("RGB", (room[0], max(1, min(room[1], len(lines) * LINE))), PAPER)
    for number, (text, color) in enumerate(lines):
        if color:
            ImageDraw.Draw(image).rectangle((0, number * LINE + 4, _BAR, (number + 1) * LINE - 4), fill=color)
        _write(image, text, (2 * _BAR if color else 0, number * LINE), INK, fonts, room=room[0] - 2 * _BAR)
    return image


def _write(
    sheet: Image.Image, text: str, place: tuple[int, int], color: str, fonts: FontBook, *, room: int | None = None
) -> None:
    """Write a line, cut off where it would leave its room; what no font has is written as a question mark."""
    text = "".join(character if character.isprintable() else " " for character in text)
    font = fonts.font(text, FONT_SIZE)
    if font is None:
        font = default_font(FONT_SIZE)
        text = text.encode("ascii", errors="replace").decode("ascii")
    limit = room or sheet.width - 2 * GAP
    while text and font.getlength(text) > limit:
        text = text[:-2] + "…" if font is not default_font(FONT_SIZE) else text[:-4] + "..."
    ImageDraw.Draw(sheet).text(place, text, font=font, fill=color)
