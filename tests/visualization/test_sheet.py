"""A card becomes a PNG file with its panels side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from qvl.geometry import Box
from qvl.visualization import Card, FontBook, Item, Panel, draw_sheet, write_sheets

FONTS = FontBook(())


def card(num_panels: int, *, name: str = "a.png", size: tuple[int, int] = (64, 48)) -> Card:
    item = Item("type=psu", "psu", "#ff0000", Box(16, 12, 48, 36))
    panels = [Panel("Original", "", Image.new("RGB", size, (90, 90, 90)), (64, 48), [item]) for _ in range(num_panels)]
    return Card("line 1", name, "rows.jsonl:1", panels, faults=[("bad_size", "width", "got 0")])


def test_panels_stand_side_by_side_with_their_shapes() -> None:
    pixels = np.asarray(draw_sheet(card(2), fonts=FONTS), dtype=int)
    red = (np.abs(pixels - (255, 0, 0)) < 40).all(axis=-1)
    left, right = np.split(red[:, : red.shape[1] // 2 * 2], 2, axis=1)
    assert left.sum() > 1000
    assert abs(int(left.sum()) - int(right.sum())) < 0.1 * left.sum()


def test_many_panels_make_rows_and_a_card_without_any_tells_its_faults() -> None:
    one, four, none = (draw_sheet(card(count), fonts=FONTS) for count in (1, 4, 0))
    assert four.width > 2 * one.width
    assert four.height > 1.5 * one.height
    assert (np.asarray(none) != 255).any()


def test_a_tall_picture_keeps_its_sides() -> None:
    assert draw_sheet(card(1, size=(100, 4000)), fonts=FONTS).height < 1200


def test_files_are_named_by_number_and_picture(tmp_path: Path) -> None:
    names = ("图 1/ä b.png", "", "../../x.png", "y" * 300)
    assert write_sheets((card(1, name=name) for name in names), tmp_path, fonts=FONTS) == 4
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["0001_ä_b.png", "0002_line_1.png", "0003_x.png", f"0004_{'y' * 80}.png"]


def test_headings_that_no_font_has_are_counted() -> None:
    fonts = FontBook(())
    draw_sheet(card(1, name="图.png"), fonts=fonts)
    assert list(fonts.unwritten) == ["line 1  图.png"]
