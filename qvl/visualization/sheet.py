"""Cards as PNG files: the panels side by side, with headings, for where there is no browser."""

from __future__ import annotations

import re
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


def draw_sheet(card: Card, *, fonts: FontBook) -> Image.Image:
    """Return the panels of a card side by side, with headings above them.

    Args:
        card: What to show.
        fonts: For the headings and the labels of the objects.
    """
    drawn = [_draw_panel(panel, fonts) for panel in card.panels]
    columns = max(1, min(MOST_COLUMNS, len(drawn)))
    rows = [drawn[start : start + columns] for start in range(0, len(drawn), columns)]
    width = columns * (WIDTH + GAP) + GAP
    lines = [(f"{card.heading}  {card.name}", INK), (card.origin, FAINT)]
    lines += [(f"{code} {where}: {message}", ALARM) for code, where, message in card.faults]
    top = GAP + len(lines) * LINE
    sheet = Image.new("RGB", (width, top + sum(_height(row) for row in rows)), PAPER)
    for number, (text, color) in enumerate(lines):
        _write(sheet, text, (GAP, GAP + number * LINE), color, fonts)
    panels = iter(card.panels)
    for row in rows:
        for column, (image, panel) in enumerate(zip(row, panels, strict=False)):
            left = GAP + column * (WIDTH + GAP)
            _write(sheet, f"{panel.heading}  {panel.remark}", (left, top), INK, fonts, room=WIDTH)
            sheet.paste(image, (left, top + LINE))
        top += _height(row)
    return sheet


def _height(row: list[Image.Image]) -> int:
    return LINE + max(image.height for image in row) + GAP


def _draw_panel(panel: Panel, fonts: FontBook) -> Image.Image:
    width, height = panel.image.size
    factor = min(WIDTH / width, MOST_HEIGHT / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = Image.Resampling.NEAREST if panel.exact and factor > 1 else Image.Resampling.LANCZOS
    marks = [
        Mark(item.shape, item.color, str(number), item.name)
        for number, item in enumerate(panel.items, 1)
        if item.shape is not None
    ]
    return draw_marks(panel.image.resize(size, method), marks, extent=panel.extent, fonts=fonts)


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
