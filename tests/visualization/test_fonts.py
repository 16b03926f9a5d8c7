"""Texts are written in a font of this machine where Pillow's own has not the characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.geometry import Box
from qvl.visualization import FontBook, Mark, default_font, draw_marks

CHINESE = "机柜设备"


def drawn(label: str, fonts: FontBook) -> np.ndarray:
    marks = [Mark(Box(40, 40, 60, 60), "#ff0000", "1", label)]
    return np.asarray(draw_marks(Image.new("RGB", (200, 100)), marks, extent=(200, 100), fonts=fonts))


def test_ascii_is_written_in_the_font_that_is_the_same_everywhere() -> None:
    assert FontBook().font("switch 12", 20) is default_font(20)


def test_chinese_is_written_where_the_machine_has_a_font() -> None:
    fonts = FontBook()
    if fonts.font(CHINESE, 20) is None:
        pytest.skip("no font with Chinese characters here")
    assert (drawn(CHINESE, fonts) != drawn("", fonts)).any()
    assert (drawn(CHINESE, fonts) != drawn("设备机柜", fonts)).any()  # and not as boxes
    assert fonts.unwritten == {}


def test_what_no_font_has_is_counted_and_its_number_is_written(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    fonts = FontBook([tmp_path, tmp_path / "gone"])
    assert np.array_equal(drawn(CHINESE, fonts), drawn("", fonts))
    drawn(CHINESE, fonts)
    assert fonts.unwritten == {f"1 {CHINESE}": 2}


@pytest.mark.parametrize("text", ["a\nb", "a\x00", "\ud800", "\U0010ffff"])
def test_what_is_no_text_has_no_font(text: str) -> None:
    assert FontBook().font(text, 20) is None
