"""Pixels: copies where nothing is resampled, else one warp; no waves when shrinking, grey where nothing is."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from qvl.augmentation import Compose, ExpandToFit, HorizontalFlip, Perspective, ResizeByScale, Rotate, Sample, Scale
from qvl.augmentation.rendering import render
from qvl.geometry import Matrix, compose, mirror_x, mirror_y, rotation, scaling, translation
from qvl.records import Record, Source

WARPS = ("warpAffine", "warpPerspective", "remap")


def sample(width: int, height: int) -> Sample:
    return Sample.of(Record(("a.png",), (), width, height, Source("rows.jsonl", 1)))


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def stripes(period: int, width: int = 960, height: int = 96) -> np.ndarray:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[:, ::period] = 255
    return image


def inner(pixels: np.ndarray) -> np.ndarray:
    return pixels[8:-8, 8:-8]


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.eye(3), lambda image: image),
        (mirror_x(31), lambda image: image[:, ::-1]),
        (mirror_y(20), lambda image: image[::-1]),
        (rotation(180, about=(15.5, 10)), lambda image: image[::-1, ::-1]),
        (compose(mirror_x(31), mirror_x(31)), lambda image: image),
    ],
)
def test_mirrors_are_exact(matrix: Matrix, expected: Callable[[np.ndarray], np.ndarray]) -> None:
    image = noise(31, 20)
    assert np.array_equal(render(sample(31, 20).moved(matrix), image), expected(image))


@pytest.mark.parametrize("mirror", [np.eye(3), mirror_x(30), mirror_y(20), compose(mirror_x(30), mirror_y(20))])
@pytest.mark.parametrize("shift", [(0, 0), (5, -3), (-7, 4), (29, 19), (-29, -19), (3, 0)])
def test_shifts_by_whole_pixels_are_exact(mirror: Matrix, shift: tuple[int, int]) -> None:
    image = noise(30, 20)
    mirrored = render(sample(30, 20).moved(mirror), image)
    expected = np.full((24, 28, 3), 128, dtype=np.uint8)
    for y in range(24):
        for x in range(28):
            if 0 <= y - shift[1] < 20 and 0 <= x - shift[0] < 30:
                expected[y, x] = mirrored[y - shift[1], x - shift[0]]
    moved = sample(30, 20).moved(compose(mirror, translation(*shift)), width=28, height=24)
    assert np.array_equal(render(moved, image), expected)


def test_the_result_is_an_array_of_its_own() -> None:
    image = noise(30, 20)
    for moved in (sample(30, 20), sample(30, 20).moved(mirror_x(30))):
        pixels = render(moved, image)
        before = image.copy()
        pixels[:] = 0
        assert np.array_equal(image, before)


def test_operations_on_pixels_run_in_order_after_the_warp() -> None:
    image = noise(30, 20)
    inverted = sample(30, 20).with_pixels(lambda pixels: pixels // 2).with_pixels(lambda pixels: 255 - pixels)
    assert np.array_equal(render(inverted.moved(mirror_x(30)), image), 255 - image[:, ::-1] // 2)


@pytest.mark.parametrize(
    "image",
    [noise(20, 30), np.zeros((20, 30), dtype=np.uint8), np.zeros((20, 30, 4), dtype=np.uint8), np.zeros((20, 30, 3))],
    ids=["sides swapped", "grey", "alpha", "float"],
)
def test_another_picture_than_that_of_the_sample_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \(20, 30, 3\) uint8 pixels, got"):
        render(sample(30, 20), image)


def test_all_transforms_together_are_one_warp(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in WARPS:
        original = getattr(cv2, name)
        monkeypatch.setattr(cv2, name, lambda *a, _f=original, _n=name, **k: (calls.append(_n), _f(*a, **k))[1])
    transforms = {
        "hflip": HorizontalFlip(p=0.5),
        "rotate": Rotate(p=0.7),
        "scale": Scale(p=0.7),
        "perspective": Perspective(p=0.3),
        "resize": ResizeByScale(p=0.7, low=0.2, high=1.5),
        "fit": ExpandToFit(p=0.5),
    }
    image, counts = noise(200, 150), set()
    for seed in range(30):
        moved = Compose(transforms=transforms)(sample(200, 150), np.random.default_rng(seed))
        calls.clear()
        render(moved.resized(128, 96), image)
        counts.add(len(calls))
    assert counts == {1}
    calls.clear()
    render(sample(200, 150).moved(mirror_x(200)), image)
    assert calls == []


@pytest.mark.parametrize("turn", [0.0, 7.0])
@pytest.mark.parametrize("is_across", [False, True])
def test_stripes_shrunk_to_a_quarter_become_grey(turn: float, is_across: bool) -> None:
    image = stripes(3)
    image = np.ascontiguousarray(image.transpose(1, 0, 2)) if is_across else image
    height, width = image.shape[:2]
    moved = sample(width, height).moved(rotation(turn, about=(width / 2, height / 2)))
    pixels = render(moved.moved(scaling(0.25, 0.25), width=width // 4, height=height // 4), image)
    middle = pixels[height // 8 - 4 : height // 8 + 4, width // 8 - 4 : width // 8 + 4]
    assert float(middle.std()) < 5
    assert float(middle.mean()) == pytest.approx(85, abs=2)


def slow_waves(pixels: np.ndarray) -> float:
    """Amplitude of the strongest wave along a row that is longer than 8 pixels; no stripe is that wide."""
    row = inner(pixels)[10, :, 0].astype(float)
    window = np.hanning(len(row))
    spectrum = np.abs(np.fft.rfft((row - row.mean()) * window)) * 2 / window.sum()
    return float(spectrum[(np.fft.rfftfreq(len(row)) < 1 / 8)].max())


@pytest.mark.parametrize("period", [2, 3])
@pytest.mark.parametrize("factor", np.linspace(0.5, 0.9, 17).tolist())
def test_shrinking_a_little_makes_no_slow_waves(period: int, factor: float) -> None:
    width, height = round(960 * factor), round(96 * factor)
    pixels = render(sample(960, 96).resized(width, height), stripes(period))
    assert slow_waves(pixels) < 20  # of 255; a warp alone makes 30 to 100


@pytest.mark.parametrize("factor", [0.9, 0.75, 0.5, 0.34, 0.25, 0.16, 0.1, 0.04])
def test_shrinking_looks_like_the_resize_of_the_processor(factor: float) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (600, 800, 3), dtype=np.uint8), (0, 0), 2.0)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    width, height = round(800 * factor), round(600 * factor)
    pixels = render(sample(800, 600).resized(width, height), image)
    processor = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
    error = np.abs(pixels.astype(float) - processor)
    assert float(error.mean()) < 2.0
    assert float(error[:2].mean()) < 4.0  # the edge is not mixed with grey


def test_enlarging_does_not_mix_grey_into_the_edge() -> None:
    white = np.full((30, 40, 3), 255, dtype=np.uint8)
    assert (render(sample(40, 30).resized(100, 90), white) == 255).all()


def test_outside_the_picture_is_grey() -> None:
    white = np.full((60, 80, 3), 255, dtype=np.uint8)
    pixels = render(sample(80, 60).moved(scaling(0.5, 0.5, about=(40, 30))), white)
    assert (pixels[17:43, 22:58] == 255).all()
    pixels[14:46, 19:61] = 128
    assert (pixels == 128).all()


@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_what_a_crop_cut_away_does_not_come_back(turn: float) -> None:
    white = np.full((120, 160, 3), 255, dtype=np.uint8)
    cropped = sample(160, 120).moved(translation(-40, -30), width=80, height=60)
    smaller = cropped.moved(compose(scaling(0.5, 0.5, about=(40, 30)), rotation(turn, about=(40, 30))))
    pixels = render(smaller, white)
    rows, columns = np.indices((60, 80)) + 0.5
    offset = np.stack([columns - 40, rows - 30], axis=-1) @ rotation(turn)[:2, :2]  # turned back
    inside = (abs(offset[..., 0]) < 19) & (abs(offset[..., 1]) < 14)
    outside = (abs(offset[..., 0]) > 21) | (abs(offset[..., 1]) > 16)
    assert (pixels[inside] == 255).all()
    assert (pixels[outside] == 128).all()


def test_what_a_crop_cut_away_does_not_come_back_on_a_larger_canvas() -> None:
    image = noise(160, 120)
    cropped = sample(160, 120).deferred().moved(translation(-40, -30), width=80, height=60).cut()
    fitted = ExpandToFit(p=1, multiple=64)(cropped, np.random.default_rng(0)).settled()
    expected = np.full((64, 128, 3), 128, dtype=np.uint8)
    expected[:60, :80] = image[30:90, 40:120]
    assert np.array_equal(render(fitted, image), expected)


def test_a_canvas_that_shows_nothing_is_grey() -> None:
    away = sample(40, 30).moved(translation(60, 0))
    for moved in (away, away.moved(translation(-60, 0)), away.resized(64, 32)):
        assert (render(moved, noise(40, 30)) == 128).all()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 500), (20000, 1), (40000, 4), (7, 3)])
def test_odd_pictures_can_be_rendered(width: int, height: int) -> None:
    image = np.full((height, width, 3), 200, dtype=np.uint8)
    moved = sample(width, height).moved(mirror_x(width)).resized(64, 96)
    assert (render(moved, image) == 200).all()
    turned = sample(width, height).moved(rotation(5, about=(width / 2, height / 2)))
    assert render(turned, image).shape == (height, width, 3)


def test_a_window_is_the_same_as_that_part_of_the_whole() -> None:
    """Only the part of the picture that is needed is filtered; that must not show, not even at the edges."""
    image = noise(1200, 800)
    whole = render(sample(1200, 800).resized(360, 240), image).astype(int)
    window = sample(1200, 800).moved(translation(-400, -300), width=300, height=200).resized(90, 60)
    assert np.abs(render(window, image) - whole[90:150, 120:210]).max() <= 1
