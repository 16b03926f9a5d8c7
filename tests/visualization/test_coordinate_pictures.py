"""The pictures of the page about coordinates are what their script draws."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("edges", "grid", "canonical", "exif")


@pytest.fixture(scope="module")
def drawings() -> Mapping[str, Callable[[], Image.Image]]:
    return runpy.run_path(str(DOCS / "make_coordinate_pictures.py"))["PICTURES"]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_small_and_up_to_date(drawings: Mapping[str, Callable[[], Image.Image]], name: str) -> None:
    path = DOCS / "images" / f"coordinates_{name}.png"
    assert path.stat().st_size < 50_000
    kept, drawn = (np.asarray(image.convert("RGB"), dtype=float) for image in (Image.open(path), drawings[name]()))
    assert kept.shape == drawn.shape
    # the palette moves colours a little, another Pillow may move letters a little
    assert np.abs(kept - drawn).mean() < 2, "run python docs/make_coordinate_pictures.py"


def test_every_picture_is_shown_on_the_page(drawings: Mapping[str, Callable[[], Image.Image]]) -> None:
    page = (DOCS / "concepts" / "coordinates.md").read_text(encoding="utf-8")
    assert tuple(drawings) == NAMES
    assert [name for name in NAMES if f"../images/coordinates_{name}.png)" not in page] == []
