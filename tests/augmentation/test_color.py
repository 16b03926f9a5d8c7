"""Transforms of pixels draw at the call, from the generator only, and refuse parameters that make no sense."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from qvl.augmentation.color import (
    AutoContrast,
    Blur,
    Clahe,
    ColorJitter,
    Gamma,
    Hsv,
    JpegCompression,
    Noise,
    PixelTransform,
    Sharpness,
)
from qvl.augmentation.sample import Sample
from qvl.records import Record, Source

TRANSFORMS = (AutoContrast, Blur, Clahe, ColorJitter, Gamma, Hsv, JpegCompression, Noise, Sharpness)
RANGES = [
    (ColorJitter, "brightness", 0, 10),
    (ColorJitter, "contrast", 0, 10),
    (ColorJitter, "saturation", 0, 10),
    (Gamma, "gamma", 0.01, 10),
    (Hsv, "hue_degrees", -180, 180),
    (Hsv, "saturation", 0, 10),
    (Hsv, "value", 0, 10),
    (Sharpness, "factor", 0, 10),
    (Blur, "sigma", 0, 100),
    (Noise, "std", 0, 255),
    (JpegCompression, "quality", 1, 100),
]
NUMBERS = [(Gamma, "gain", 0.01, 10), (Clahe, "clip_limit", 0.1, 100), (AutoContrast, "cutoff", 0, 49)]
NUMBERS += [(transform, "p", 0, 1) for transform in TRANSFORMS]
every_transform = pytest.mark.parametrize("make", TRANSFORMS)


def blank(width: int = 40, height: int = 30) -> Sample:
    return Sample.of(Record(("a.png",), (), width, height, Source("rows.jsonl", 1)))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(transform: PixelTransform, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """The operation that a transform notes."""
    (op,) = transform(blank(), generator(seed)).pixel_ops
    return op


def picture() -> np.ndarray:
    return generator(9).integers(20, 200, (30, 40, 3), dtype=np.uint8)


def test_the_list_of_transforms_is_complete():
    assert set(TRANSFORMS) == set(PixelTransform.__subclasses__())
    ranges = {(make, name) for make, name, *_ in RANGES + NUMBERS}
    assert ranges == {(make, field.name) for make in TRANSFORMS for field in fields(make)} - {(Clahe, "tile_grid_size")}


@every_transform
def test_a_transform_notes_one_operation_after_those_before(make):
    sample = blank().with_pixels(np.copy)
    result = make(p=1)(sample, generator())
    assert sample.pixel_ops == (np.copy,)
    assert result.pixel_ops[0] is np.copy
    assert len(result.pixel_ops) == 2
    assert result.pixel_ops[1](picture()).shape == picture().shape


@every_transform
def test_the_sample_itself_comes_back_when_it_is_not_drawn(make):
    sample = blank()
    assert make(p=0)(sample, generator()) is sample


@every_transform
def test_p_is_the_share_of_changed_samples(make):
    rng = generator()
    changed = sum(len(make(p=0.3)(blank(), rng).pixel_ops) for _ in range(2000))
    assert changed == pytest.approx(600, abs=90)


@every_transform
def test_the_same_generator_gives_the_same_pixels(make):
    assert np.array_equal(drawn(make(p=1), seed=4)(picture()), drawn(make(p=1), seed=4)(picture()))


@pytest.mark.parametrize("make", [make for make in TRANSFORMS if make not in (AutoContrast, Clahe)])
def test_another_generator_gives_other_pixels(make):
    assert not np.array_equal(drawn(make(p=1), seed=4)(picture()), drawn(make(p=1), seed=5)(picture()))


@every_transform
def test_an_operation_draws_nothing_when_it_is_run(make):
    op = drawn(make(p=1))
    assert np.array_equal(op(picture()), op(picture()))


@every_transform
def test_as_many_numbers_are_drawn_for_small_as_for_large_pictures(make):
    states = []
    for size in ((1, 1), (4000, 3000)):
        rng = generator()
        make(p=1)(blank(*size), rng)
        states.append(rng.bit_generator.state)
    assert states[0] == states[1]


@every_transform
def test_as_many_numbers_are_drawn_from_an_empty_range(make):
    names = [name for owner, name, *_ in RANGES if owner is make]
    narrow, wide = generator(), generator()
    transform = make(p=1)
    transform(blank(), wide)
    replace(transform, **{name: (1.0, 1.0) for name in names})(blank(), narrow)
    assert narrow.bit_generator.state == wide.bit_generator.state


@every_transform
def test_transform_and_operation_can_be_pickled(make):
    transform = make(p=1)
    assert pickle.loads(pickle.dumps(transform)) == transform
    op = drawn(transform)
    assert np.array_equal(pickle.loads(pickle.dumps(op))(picture()), op(picture()))


@every_transform
def test_a_transform_does_not_crop_and_cannot_be_changed(make):
    assert make.crops is False
    with pytest.raises(FrozenInstanceError):
        make().p = 0.1


@pytest.mark.parametrize(("make", "name", "low", "high"), RANGES)
def test_values_are_drawn_from_the_whole_range(make, name, low, high):
    lo, hi = (1.0, 3.0) if name == "gamma" else (low, high)
    transform = make(p=1, **{name: (lo, hi)})
    values = [drawn(transform, seed).keywords[name] for seed in range(300)]
    span = hi - lo
    assert lo <= min(values) < lo + 0.03 * span
    assert hi - 0.03 * span < max(values) <= hi


@pytest.mark.parametrize(
    ("transform", "name", "value"),
    [
        (Gamma(gain=1.3), "gain", 1.3),
        (Clahe(p=1, clip_limit=1.5), "clip_limit", 1.5),
        (Clahe(p=1, tile_grid_size=(2, 3)), "tile_grid_size", (2, 3)),
        (AutoContrast(p=1, cutoff=4), "cutoff", 4),
    ],
)
def test_what_is_not_drawn_reaches_the_operation_as_it_is(transform, name, value):
    assert drawn(transform).keywords[name] == value


@pytest.mark.parametrize(("make", "name", "low", "high"), RANGES)
def test_ranges_come_as_lists_and_are_kept_as_tuples(make, name, low, high):
    stored = getattr(make(**{name: [low, high]}), name)
    assert stored == (low, high)
    assert isinstance(stored, tuple)
    assert isinstance(hash(make(**{name: [low, high]})), int)


@pytest.mark.parametrize(("make", "name", "low", "high"), RANGES)
@pytest.mark.parametrize(
    "wrong",
    [
        lambda low, high: (high, low),
        lambda low, high: (low - 0.5, high),
        lambda low, high: (low, high + 0.5),
        lambda low, high: (low, float("nan")),
        lambda low, high: (float("-inf"), high),
        lambda low, high: (low,),
        lambda low, high: (low, low, high),
        lambda low, high: high,
        lambda low, high: None,
        lambda low, high: "12",
        lambda low, high: ("1", "1"),
        lambda low, high: (True, 1),
    ],
    ids=["turned", "below", "above", "nan", "inf", "one", "three", "number", "none", "text", "texts", "bool"],
)
def test_a_range_that_makes_no_sense_is_refused(make, name, low, high, wrong):
    value = wrong(low, high)
    with pytest.raises(ValueError) as caught:
        make(**{name: value})
    for part in (name, repr(value), f"{low:g} <= lo <= hi <= {high:g}"):
        assert part in str(caught.value)


@pytest.mark.parametrize(("make", "name", "low", "high"), NUMBERS)
def test_a_number_that_makes_no_sense_is_refused(make, name, low, high):
    make(**{name: low})
    make(**{name: high})
    for value in (low - 0.01, high + 0.01, float("nan"), float("inf"), "1", None, True, [low, high]):
        with pytest.raises(ValueError) as caught:
            make(**{name: value})
        assert f"{name} must be a number in [{low:g}, {high:g}], got {value!r}" == str(caught.value)


def test_a_grid_comes_as_a_list_and_is_kept_as_a_tuple():
    assert Clahe(tile_grid_size=[4, 6]).tile_grid_size == (4, 6)


@pytest.mark.parametrize("value", [(0, 8), (8, 65), (8,), (8, 8, 8), 8, (8.0, 8.0), (True, 8), "88"])
def test_a_grid_that_makes_no_sense_is_refused(value):
    with pytest.raises(ValueError, match=r"tile_grid_size must be two whole numbers \(across, down\) in \[1, 64\]"):
        Clahe(tile_grid_size=value)


def test_quality_is_a_whole_number():
    qualities = {drawn(JpegCompression(p=1, quality=(40, 42)), seed).keywords["quality"] for seed in range(100)}
    assert qualities == {40, 41, 42}


def test_two_noises_of_one_sample_differ():
    rng = generator()
    sample = Noise(p=1, std=(5, 5))(Noise(p=1, std=(5, 5))(blank(), rng), rng)
    first, second = (op(picture()) for op in sample.pixel_ops)
    assert not np.array_equal(first, second)
