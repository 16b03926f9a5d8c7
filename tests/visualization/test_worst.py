"""The worst pictures become images with truth and prediction side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.conversation import IRRELEVANT, TextObject
from qvl.evaluation import Prediction
from qvl.records import Source
from qvl.visualization import worst_pictures

BOX = TextObject("psu", "bbox_2d", (250, 250, 750, 750))
YELLOW, GREEN, PINK = (255, 208, 0), (0, 158, 115), (212, 38, 125)


def row(folder: Path, number: int, *predicted: TextObject, size: tuple[int, int] = (80, 60)) -> Prediction:
    path = folder / f"{number}.png"
    Image.new("RGB", size, (90, 90, 90)).save(path)
    where = Source("p.jsonl", number)
    return Prediction(where, str(path), f"a:{number}", *size, (BOX,), predicted, (), "", "stop")


def halves(image: Image.Image, color: tuple[int, int, int]) -> list[int]:
    """Count the pixels of a colour in the left and in the right half."""
    near = np.all(np.abs(np.asarray(image, dtype=int) - color) < 30, axis=-1)
    middle = near.shape[1] // 2
    return [int(near[:, :middle].sum()), int(near[:, middle:].sum())]


def test_the_worst_come_first_with_truth_on_the_left(tmp_path: Path) -> None:
    far = replace(BOX, numbers=(0, 0, 100, 100))
    rows = [row(tmp_path, 1, BOX), row(tmp_path, 2), row(tmp_path, 3, far)]
    wrong, silent, right = worst_pictures(rows, count=9, line_tolerance=20.0)
    assert min(halves(right, GREEN)) > 500
    assert halves(silent, YELLOW)[0] > 500 > halves(silent, YELLOW)[1]
    assert halves(wrong, PINK)[1] > 50 > halves(wrong, PINK)[0]
    assert len(worst_pictures(rows, count=2, line_tolerance=20.0)) == 2


@pytest.mark.parametrize("size", [(400, 20), (20, 400), (80, 60)])
@pytest.mark.parametrize("max_side", [300, 1024])
def test_no_image_is_larger_than_it_may_be(tmp_path: Path, size: tuple[int, int], max_side: int) -> None:
    (image,) = worst_pictures([row(tmp_path, 1, size=size)], count=1, line_tolerance=20.0, max_side=max_side)
    assert max(image.size) <= max_side
    assert max(image.size) > max_side // 2


def test_what_cannot_be_shown_is_passed_over(tmp_path: Path) -> None:
    gone, unanswered = row(tmp_path, 1), replace(row(tmp_path, 2), error="gone")
    Path(gone.image).unlink()
    assert len(worst_pictures([gone, unanswered, row(tmp_path, 3, BOX)], count=3, line_tolerance=20.0)) == 1
    assert worst_pictures([unanswered], count=3, line_tolerance=20.0) == []
    assert worst_pictures([row(tmp_path, 3)], count=0, line_tolerance=20.0) == []


def test_a_summary_is_shown_with_its_facts(tmp_path: Path) -> None:
    text = '{"统计": [{"类别": "psu"}]}'
    one = replace(row(tmp_path, 1), truth=(), summary=(text, IRRELEVANT))
    (image,) = worst_pictures([one], count=1, line_tolerance=20.0)
    assert sum(halves(image, YELLOW)) > 50
