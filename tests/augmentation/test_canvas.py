"""Canvases of another size: resizing by a factor, and growing until everything is seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.augmentation import (
    Compose,
    ExpandToFit,
    HorizontalFlip,
    ResizeByScale,
    Rotate,
    Sample,
    Scale,
    Translate,
    render,
)
from qvl.augmentation.canvas import fitted_size
from qvl.geometry import Box, area
from qvl.records import ObjectRecord, Record, Source


def sample(width: int = 300, height: int = 200) -> Sample:
    corners = [(0, 0), (width - 10, 0), (0, height - 10), (width - 10, height - 10), (width // 2, height // 2)]
    objects = tuple(ObjectRecord(f"part at {x} {y}", Box(x, y, x + 10, y + 10)) for x, y in corners)
    return Sample.of(Record(("a.png",), objects, width, height, Source("rows.jsonl", 1)))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_resizing_stretches_everything_to_whole_pixels() -> None:
    for seed in range(30):
        resized = ResizeByScale(p=1, low=0.31, high=1.7)(sample(301, 199), generator(seed)).record
        assert 93 <= resized.width <= 512
        assert abs(resized.width / 301 - resized.height / 199) < 0.5 / 199 + 0.5 / 301
        assert len(resized.objects) == 5
        assert resized.objects[3].shape.bounds()[2:] == pytest.approx((resized.width, resized.height))


def test_resizing_by_a_list_takes_its_factors() -> None:
    widths = {ResizeByScale(p=1, scales=[0.5, 1, 2])(sample(), generator(seed)).record.width for seed in range(40)}
    assert widths == {150, 300, 600}


def test_a_tiny_picture_keeps_a_pixel() -> None:
    record = ResizeByScale(p=1, scales=[0.05])(sample(300, 11), generator()).record
    assert (record.width, record.height) == (15, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResizeByScale(low=2, high=1), "low must be"),
        (lambda: ResizeByScale(scales=[]), "scales must name a factor"),
        (lambda: ResizeByScale(scales=[0.5, -1]), "scales must be a number"),
        (lambda: ExpandToFit(multiple=0), "multiple must be a number"),
        (lambda: ExpandToFit(multiple=32, max_pixels=1000), r"max_pixels must be a number in \[1024, inf\], got 1000"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_without_a_move_the_canvas_is_padded_at_the_right_and_the_bottom() -> None:
    image = generator().integers(0, 256, (200, 300, 3), dtype=np.uint8)
    fitted = ExpandToFit(p=1, multiple=64)(sample(), generator())
    assert (fitted.record.width, fitted.record.height) == (320, 256)
    assert fitted.record.objects == sample().record.objects
    pixels = render(fitted, image)
    assert np.array_equal(pixels[:200, :300], image)
    assert (pixels[200:] == 128).all()
    assert (pixels[:, 300:] == 128).all()


def test_an_aligned_canvas_stays_as_it_is() -> None:
    assert not ExpandToFit(p=1, multiple=20)(sample(), generator()).changed
    flipped = Compose(transforms={"flip": HorizontalFlip(p=1), "fit": ExpandToFit(p=1, multiple=20)})
    assert (flipped(sample(), generator()).record.width, flipped(sample(), generator()).record.height) == (300, 200)


@pytest.mark.parametrize("first", [Rotate(p=1, max_degrees=180), Translate(p=1, max_share=0.5), Scale(p=1, high=2.5)])
def test_the_canvas_grows_until_the_whole_picture_is_seen(first: object) -> None:
    compose = Compose(transforms={"first": first, "fit": ExpandToFit(p=1, multiple=16)})
    for seed in range(10):
        fitted = compose(sample(), generator(seed))
        assert [item.coverage for item in fitted.seen] == pytest.approx([1.0] * 5)
        assert fitted.record.width % 16 == fitted.record.height % 16 == 0
        region = fitted.view.region
        assert region.min(axis=0).tolist() == pytest.approx([0, 0], abs=1e-9)
        assert (fitted.record.width, fitted.record.height) < tuple(region.max(axis=0) + 16.001)
    without = Compose(transforms={"first": first})
    assert any(len(without(sample(), generator(seed)).record.objects) < 5 for seed in range(10))


def test_a_canvas_that_would_be_too_large_is_shrunk_by_one_factor() -> None:
    compose = Compose(transforms={"turn": Rotate(p=1), "fit": ExpandToFit(p=1, multiple=32, max_pixels=40_000)})
    for seed in range(10):
        fitted = compose(sample(), generator(seed))
        assert fitted.record.width * fitted.record.height <= 40_000
        matrix = fitted.view.matrix
        assert np.hypot(*matrix[:2, 0]) == pytest.approx(np.hypot(*matrix[:2, 1]))
        assert math.sqrt(area(fitted.record.objects[0].shape)) == pytest.approx(10 * np.hypot(*matrix[:2, 0]))
        assert len(fitted.record.objects) == 5


sides = st.floats(1, 5000)


@given(sides, sides, st.sampled_from([1, 16, 28, 32]), st.integers(1024, 3_000_000) | st.none())
def test_the_fitted_canvas_holds_the_rectangle_and_no_more(
    width: float, height: float, multiple: int, max_pixels: int | None
) -> None:
    columns, rows, factor = fitted_size(width, height, multiple=multiple, max_pixels=max_pixels)
    assert columns % multiple == rows % multiple == 0
    assert 0 < factor <= 1
    assert width * factor <= columns + 1e-5
    assert height * factor <= rows + 1e-5
    assert columns - multiple < max(width * factor, 1)
    assert rows - multiple < max(height * factor, 1)
    if max_pixels is not None:
        assert columns * rows <= max_pixels
    if factor < 1:  # a little larger would not do
        more = [math.ceil(side * (factor * 1.0001) / multiple - 1e-9) * multiple for side in (width, height)]
        assert max_pixels is not None
        assert more[0] * more[1] > max_pixels or factor > 0.9999
