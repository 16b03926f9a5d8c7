"""The picture of the README is what its script draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_readme_picture", DOCS / "make_readme_picture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_small_and_up_to_date(script: ModuleType) -> None:
    path = DOCS / "images" / "readme.png"
    assert path.stat().st_size < 150_000
    kept, drawn = (np.asarray(image.convert("RGB"), dtype=float) for image in (Image.open(path), script.make()))
    assert kept.shape == drawn.shape
    # the palette moves colours a little, another Pillow may move letters a little
    assert np.abs(kept - drawn).mean() < 6, "run python docs/make_readme_picture.py"


def test_drawing_twice_gives_the_same_picture(script: ModuleType) -> None:
    assert script.make().tobytes() == script.make().tobytes()
