"""Operations on pixels agree with Pillow or with arithmetic, and leave their input alone."""

from __future__ import annotations

import colorsys
import io
import math
from functools import partial
from statistics import NormalDist

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from qvl.augmentation.pixels import (
    MAX_JPEG_SIDE,
    add_noise,
    adjust_color,
    adjust_gamma,
    adjust_hsv,
    apply_clahe,
    auto_contrast,
    blur,
    compress_jpeg,
    sharpen,
)

OPS = {
    "brightness": partial(adjust_color, brightness=1.2),
    "contrast": partial(adjust_color, contrast=0.6),
    "saturation": partial(adjust_color, saturation=1.7),
    "gamma": partial(adjust_gamma, gamma=0.7, gain=1.1),
    "hsv": partial(adjust_hsv, hue_degrees=-15, saturation=1.2, value=0.9),
    "clahe": partial(apply_clahe, clip_limit=3.0, tile_grid_size=(8, 8)),
    "auto_contrast": partial(auto_contrast, cutoff=2),
    "sharpen": partial(sharpen, factor=1.8),
    "smooth": partial(sharpen, factor=0.5),
    "blur": partial(blur, sigma=1.5),
    "noise": partial(add_noise, std=8.0, seed=3),
    "jpeg": partial(compress_jpeg, quality=60),
}
IDENTITIES = {
    "color": adjust_color,
    "gamma": partial(adjust_gamma, gamma=1.0),
    "hsv": adjust_hsv,
    "hsv all around": partial(adjust_hsv, hue_degrees=360),
    "sharpen": partial(sharpen, factor=1.0),
    "blur": partial(blur, sigma=0.0),
    "noise": partial(add_noise, std=0.0, seed=3),
}
every_op = pytest.mark.parametrize("op", OPS.values(), ids=OPS)
factors = st.floats(0, 3)


def speckle(height: int = 61, width: int = 83, *, low: int = 0, high: int = 255, seed: int = 0) -> np.ndarray:
    """Every pixel and channel for itself: the hardest case."""
    return np.random.default_rng(seed).integers(low, high, (height, width, 3), dtype=np.uint8, endpoint=True)


def scene(height: int = 120, width: int = 160) -> np.ndarray:
    """Smooth coloured blobs, all levels from 30 to 220, as a photograph has them."""
    rough = speckle(height // 20, width // 20, low=30, high=220, seed=1)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)


def flat(red: int, green: int, blue: int, *, side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), (red, green, blue), np.uint8)


def distance(a: np.ndarray, b: np.ndarray | Image.Image) -> int:
    """Largest difference in levels."""
    return int(np.abs(a.astype(int) - np.asarray(b).astype(int)).max())


@every_op
def test_the_result_is_a_contiguous_picture_of_the_same_size(op):
    result = op(speckle())
    assert result.shape == (61, 83, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous


@every_op
def test_an_operation_changes_the_result_and_never_the_input(op):
    image = scene()
    before = image.copy()
    image.flags.writeable = False
    result = op(image)
    assert np.array_equal(image, before)
    assert not np.array_equal(result, before)
    assert not np.shares_memory(result, image)


@every_op
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3), (1, 20_000), (20_000, 1)])
def test_small_and_thin_pictures_are_pictures(op, size):
    assert op(speckle(*size)).shape == (*size, 3)


@every_op
@pytest.mark.parametrize(
    "view",
    [
        lambda image: image[:, ::-1],
        lambda image: image[::-1],
        lambda image: image[..., ::-1],
        lambda image: image[5:40:2, 3:50:3],
        lambda image: image.transpose(1, 0, 2),
        lambda image: np.broadcast_to(image[:1], image.shape),
    ],
    ids=["mirrored", "upside down", "BGR", "strided", "turned", "repeated"],
)
def test_a_view_gives_what_its_copy_gives(op, view):
    image = view(speckle())
    assert not image.flags.c_contiguous
    result = op(image)
    assert np.array_equal(result, op(image.copy()))
    assert result.flags.c_contiguous


@every_op
def test_the_same_picture_gives_the_same_result(op):
    assert np.array_equal(op(speckle(600, 400)), op(speckle(600, 400)))


@pytest.mark.parametrize("op", IDENTITIES.values(), ids=IDENTITIES)
@pytest.mark.parametrize("size", [(61, 83), (1, 1)])
def test_parameters_of_no_change_give_the_identical_picture(op, size):
    image = speckle(*size)
    result = op(image)
    assert np.array_equal(result, image)
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize(
    "image",
    [
        speckle().astype(np.float32),
        speckle()[..., 0],
        speckle()[..., :2],
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
    ids=["float", "grey", "two channels", "RGBA", "empty"],
)
@every_op
def test_what_is_not_an_rgb_picture_is_refused(op, image):
    with pytest.raises(ValueError, match="image must be uint8 of shape"):
        op(image)


@pytest.mark.parametrize("image", [speckle(), scene(), speckle(1, 1)], ids=["speckle", "scene", "pixel"])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
@given(factor=factors)
def test_one_factor_agrees_with_pillow(name, enhance, image, factor):
    assert distance(adjust_color(image, **{name: factor}), enhance(Image.fromarray(image)).enhance(factor)) <= 2


@given(st.floats(0.8, 1.2), st.floats(0.8, 1.2), st.floats(0.8, 1.2))
def test_three_factors_agree_with_three_calls_of_pillow_where_nothing_is_cut(brightness, contrast, saturation):
    image = speckle(low=90, high=160)
    expected = Image.fromarray(image)
    expected = ImageEnhance.Brightness(expected).enhance(brightness)
    expected = ImageEnhance.Contrast(expected).enhance(contrast)
    expected = ImageEnhance.Color(expected).enhance(saturation)
    result = adjust_color(image, brightness=brightness, contrast=contrast, saturation=saturation)
    assert distance(result, expected) <= 3  # Pillow rounds three times


def test_nothing_is_cut_between_the_factors():
    assert distance(adjust_color(flat(200, 150, 100), brightness=2.0, saturation=0.0), flat(255, 255, 255)) == 0
    image = np.concatenate([flat(100, 100, 100), flat(200, 200, 200)])  # twice as bright: mean 300, second half 400
    assert set(adjust_color(image, brightness=2.0, contrast=0.5).ravel()) == {250, 255}


@pytest.mark.parametrize("factor", [10.0, 40.0, 300.0])
def test_large_factors_saturate(factor):
    image = speckle()
    assert np.array_equal(adjust_color(image, brightness=factor), np.minimum(image * factor, 255).astype(np.uint8))


@given(gamma=st.floats(0.1, 5), gain=st.floats(0.1, 3))
def test_gamma_is_the_formula_for_every_level(gamma, gain):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = np.stack([levels, levels.T, levels[::-1]], axis=2)
    expected = np.clip(255 * gain * (image / 255.0) ** gamma, 0, 255)
    assert np.abs(adjust_gamma(image, gamma=gamma, gain=gain) - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("hue", "saturation", "value"), [(17, 1.2, 0.9), (-17, 0.7, 1.4), (180, 1, 1), (0, 0.5, 1)])
def test_hsv_stays_near_exact_arithmetic(hue, saturation, value):
    image = speckle(30, 30)
    hsv = [colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in image.reshape(-1, 3)]
    exact = [colorsys.hsv_to_rgb((h + hue / 360) % 1, min(s * saturation, 1), min(v * value, 1)) for h, s, v in hsv]
    result = adjust_hsv(image, hue_degrees=hue, saturation=saturation, value=value)
    error = np.abs(result - 255 * np.array(exact).reshape(image.shape))
    assert error.max() < 12
    assert error.mean() < 1


def test_a_third_of_a_turn_of_the_hue_makes_red_green():
    assert distance(adjust_hsv(flat(200, 0, 0), hue_degrees=120), flat(0, 200, 0)) <= 5
    assert distance(adjust_hsv(flat(200, 0, 0), hue_degrees=-120), flat(0, 0, 200)) <= 5


def test_clahe_spreads_a_pale_picture_and_keeps_colours():
    pale = (scene() // 8 + 100).astype(np.uint8)
    result = OPS["clahe"](pale)
    before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB) for image in (pale, result))
    assert after[..., 0].std() > 1.5 * before[..., 0].std()
    assert distance(before[..., 1:], after[..., 1:]) <= 3


def test_clahe_spreads_more_with_a_higher_limit():
    pale = (scene() // 8 + 100).astype(np.uint8)
    low, high = (apply_clahe(pale, clip_limit=limit, tile_grid_size=(2, 2)).std() for limit in (1.0, 5.0))
    assert low < high


def test_clahe_counts_tiles_across_first():
    ramp = np.repeat(np.linspace(80, 170, 160).astype(np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    across = apply_clahe(ramp, clip_limit=40.0, tile_grid_size=(8, 1))
    down = apply_clahe(ramp, clip_limit=40.0, tile_grid_size=(1, 8))
    assert np.diff(down[60, :, 0].astype(int)).min() >= 0  # one tile across: the ramp still rises
    assert np.diff(across[60, :, 0].astype(int)).min() < 0  # each of 8 tiles has the whole range for itself


@pytest.mark.parametrize("cutoff", [0, 0.5, 2, 10, 30, 49])
@pytest.mark.parametrize(
    "image",
    [speckle(low=40, high=180), scene(), flat(7, 90, 255), speckle(1, 1), speckle(1, 2), speckle(3, 5)],
    ids=["speckle", "scene", "flat", "pixel", "two pixels", "few pixels"],
)
def test_auto_contrast_is_that_of_pillow(image, cutoff):
    assert distance(auto_contrast(image, cutoff=cutoff), ImageOps.autocontrast(Image.fromarray(image), cutoff)) <= 1


def test_auto_contrast_uses_the_whole_range_of_each_channel():
    image = np.stack([speckle(low=low, high=low + 40)[..., 0] for low in (10, 100, 200)], axis=2)
    result = auto_contrast(image)
    assert result.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert result.max(axis=(0, 1)).tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "image", [speckle(), scene(), speckle(2, 9), speckle(1, 1)], ids=["speckle", "scene", "two rows", "pixel"]
)
@given(factor=st.floats(0, 2))
def test_sharpness_agrees_with_pillow(image, factor):
    assert distance(sharpen(image, factor=factor), ImageEnhance.Sharpness(Image.fromarray(image)).enhance(factor)) <= 2


@pytest.mark.parametrize("sigma", [0.8, 1.5, 4.0])
def test_blur_spreads_a_line_by_sigma(sigma):
    image = np.zeros((81, 81, 3), np.uint8)
    image[:, 40] = 255
    profile = blur(image, sigma=sigma)[40, :, 0].astype(float)
    measured = np.sqrt(((np.arange(81) - 40) ** 2 * profile).sum() / profile.sum())
    assert measured == pytest.approx(sigma, rel=0.08)
    turned = blur(image.transpose(1, 0, 2), sigma=sigma)
    assert np.array_equal(turned[:, 40, 0], profile)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 20.0])
def test_blur_keeps_what_is_flat_up_to_the_border(sigma):
    assert distance(blur(flat(12, 130, 255), sigma=sigma), flat(12, 130, 255)) == 0


@pytest.mark.parametrize("std", [0.4, 2.0, 10.0, 25.0])
def test_noise_is_a_normal_variable_rounded_to_levels(std):
    noise = add_noise(flat(128, 128, 128, side=300), std=std, seed=11).astype(int) - 128
    normal = NormalDist(0, std)
    for level in range(-math.ceil(4 * std), math.ceil(4 * std)):
        assert np.mean(noise <= level) == pytest.approx(normal.cdf(level + 0.5), abs=4e-3)
    assert noise.mean() == pytest.approx(0, abs=4 * (std + 0.3) / np.sqrt(noise.size))
    assert noise.var() == pytest.approx(std**2, abs=0.02 * std**2 + 1 / 12)


def test_noise_of_pixels_and_channels_is_unrelated():
    noise = add_noise(flat(128, 128, 128, side=300), std=20, seed=5).astype(float) - 128
    channels = np.corrcoef(noise.reshape(-1, 3).T)
    neighbours = np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())
    for correlation in (channels[0, 1], channels[1, 2], channels[0, 2], neighbours[0, 1]):
        assert abs(correlation) < 0.02


def test_noise_depends_on_its_seed_only():
    image = flat(128, 128, 128)
    np.random.seed(1)
    first = add_noise(image, std=9, seed=1)
    np.random.seed(2)
    cv2.setRNGSeed(7)
    assert np.array_equal(add_noise(image, std=9, seed=1), first)
    assert not np.array_equal(add_noise(image, std=9, seed=2), first)


def test_noise_is_cut_and_does_not_wrap():
    assert add_noise(flat(255, 255, 255), std=30, seed=1).min() > 100
    assert add_noise(flat(0, 0, 0), std=30, seed=1).max() < 155
    assert set(add_noise(flat(128, 128, 128), std=255, seed=1).ravel()) >= {0, 255}


@pytest.mark.parametrize("quality", [1, 20, 75, 95])
def test_jpeg_agrees_with_the_file_that_pillow_writes(quality):
    file = io.BytesIO()
    Image.fromarray(scene()).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    assert distance(compress_jpeg(scene(), quality=quality), Image.open(file)) <= 2


def test_jpeg_keeps_the_order_of_channels():
    assert distance(compress_jpeg(flat(220, 40, 90), quality=95), flat(220, 40, 90)) <= 3


def test_jpeg_loses_more_at_a_lower_quality():
    image = speckle()
    errors = [np.abs(compress_jpeg(image, quality=quality) - image.astype(float)).mean() for quality in (10, 50, 90)]
    assert errors == sorted(errors, reverse=True)


def test_a_picture_too_long_for_jpeg_is_refused():
    assert compress_jpeg(speckle(1, MAX_JPEG_SIDE), quality=50).shape == (1, MAX_JPEG_SIDE, 3)
    with pytest.raises(ValueError, match="at most 65500 pixels for JPEG"):
        compress_jpeg(speckle(MAX_JPEG_SIDE + 1, 1), quality=50)
