"""Flips, affine moves and perspective: what they draw, what they refuse, what they promise."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from qvl.augmentation import (
    ExpandToFit,
    HorizontalFlip,
    Perspective,
    ResizeByScale,
    RoiCrop,
    Rotate,
    Sample,
    Scale,
    Shear,
    Translate,
    VerticalFlip,
)
from qvl.augmentation.transform import GeometricTransform
from qvl.geometry import Box, Polygon, Polyline
from qvl.records import ObjectRecord, Record, Source

WIDTH, HEIGHT = 320, 240
EVERY = [
    HorizontalFlip(p=1),
    VerticalFlip(p=1),
    Rotate(p=1, max_degrees=40),
    Scale(p=1, low=0.6, high=1.6),
    Translate(p=1, max_share=0.3),
    Shear(p=1, max_degrees=20),
    Perspective(p=1, max_share=0.2),
    ResizeByScale(p=1, low=0.5, high=1.5),
    ResizeByScale(p=1, scales=[0.5, 2]),
    ExpandToFit(p=1, multiple=28),
    RoiCrop(p=1, anchors={"type": ["part"]}, min_size=60),
]
every_transform = pytest.mark.parametrize("transform", EVERY, ids=lambda item: type(item).__name__)


def record(*descs: str, summary: str | None = None) -> Record:
    box, ring = Box(40, 30, 90, 120), Polygon(np.array([[150, 40], [220, 60], [180, 110]]))
    line = Polyline(np.array([[10, 200], [160, 180], [310, 230]]))
    shapes = zip(descs or ("type=part", "type=part,side=a", "type=cable"), (box, ring, line), strict=False)
    objects = tuple(ObjectRecord(desc, shape) for desc, shape in shapes)
    return Record(("a.png",), objects, WIDTH, HEIGHT, Source("rows.jsonl", 1), summary=summary)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def matrices(transform: GeometricTransform, count: int = 200) -> np.ndarray:
    return np.stack([transform(Sample.of(record()), generator(seed)).view.matrix for seed in range(count)])


@every_transform
def test_the_contract_of_every_transform(transform: GeometricTransform) -> None:
    source = record()
    sample = Sample.of(source)
    assert transform(sample, generator()).changed
    for seed in range(20):
        moved = transform(sample, generator(seed))
        assert sample.record is source
        assert moved.record == transform(sample, generator(seed)).record
        assert len(moved.record.objects) <= len(source.objects)
        for item in moved.record.objects:
            x1, y1, x2, y2 = item.shape.bounds()
            assert 0 <= x1 <= x2 <= moved.record.width
            assert 0 <= y1 <= y2 <= moved.record.height
    drawn = {transform(sample, generator(seed)).view.matrix.tobytes() for seed in range(20)}
    assert len(drawn) > 10 or transform in (EVERY[0], EVERY[1], EVERY[8], EVERY[9])  # nothing to draw, or a list of two


@every_transform
def test_p_decides_and_zero_is_never(transform: GeometricTransform) -> None:
    sample = Sample.of(record())
    assert replace(transform, p=0)(sample, generator()) is sample
    changed = [replace(transform, p=0.3)(sample, generator(seed)).changed for seed in range(400)]
    assert 0.2 < float(np.mean(changed)) < 0.4


@every_transform
def test_objects_leave_only_by_transforms_that_say_so(transform: GeometricTransform) -> None:
    rng = generator(3)
    corners = rng.uniform(0, [WIDTH - 9, HEIGHT - 9], size=(60, 2)).tolist()
    boxes = tuple(ObjectRecord("type=part", Box(x, y, x + 9, y + 9)) for x, y in corners)
    source = replace(record(), objects=boxes)
    left = [len(transform(Sample.of(source), generator(seed)).record.objects) < 60 for seed in range(20)]
    assert any(left) == transform.crops


@every_transform
def test_a_transform_can_be_sent_to_another_process(transform: GeometricTransform) -> None:
    assert pickle.loads(pickle.dumps(transform)) == transform


def test_flips_are_mirrors() -> None:
    flipped = HorizontalFlip(p=1)(Sample.of(record()), generator()).record
    assert flipped.objects[0].shape == Box(WIDTH - 90, 30, WIDTH - 40, 120)
    flipped = VerticalFlip(p=1)(Sample.of(record()), generator()).record
    assert flipped.objects[0].shape == Box(40, HEIGHT - 120, 90, HEIGHT - 30)


@pytest.mark.parametrize(
    ("desc", "is_refused"),
    [
        ("type=label,side=left", True),
        ("type=label,text=Turn LEFT", True),
        ("left_cable", True),
        ("screw on the right-hand side", True),
        ("类别=标签,位置=左上", True),
        ("类别=右侧螺丝", True),
        ("type=bracket,text=bright", False),
        ("leftover paint", False),
        ("type=device,color=red", False),
        ("", False),
    ],
)
def test_words_of_direction_forbid_a_horizontal_flip(desc: str, is_refused: bool) -> None:
    flip = HorizontalFlip(p=1)
    for source in (record("type=part", desc), record(summary=desc)):
        assert flip.refused(source) == is_refused
        assert flip(Sample.of(source), generator()).changed != is_refused


def test_each_flip_has_its_own_words() -> None:
    assert VerticalFlip().refused(record("the upper screw"))
    assert VerticalFlip().refused(record("螺丝在上方"))
    assert not VerticalFlip().refused(record("the left screw"))
    assert not HorizontalFlip().refused(record("the upper screw"))
    assert HorizontalFlip(unless=["port"]).refused(record("port side"))
    assert not HorizontalFlip(unless=["port"]).refused(record("left side"))
    assert not HorizontalFlip(unless=[]).refused(record("left side"))
    assert HorizontalFlip(unless=["a.b"]).refused(record("x a.b y"))
    assert not HorizontalFlip(unless=["a.b"]).refused(record("x axb y"))


def test_a_refusal_draws_as_much_as_a_flip() -> None:
    rngs = generator(), generator()
    HorizontalFlip(p=1)(Sample.of(record("left")), rngs[0])
    HorizontalFlip(p=1)(Sample.of(record("red")), rngs[1])
    assert rngs[0].random() == rngs[1].random()


def test_angles_factors_and_shifts_fill_their_ranges() -> None:
    turned = matrices(Rotate(p=1, max_degrees=30))
    degrees = np.degrees(np.arctan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert -30 <= degrees.min() < -27 < 27 < degrees.max() <= 30
    factors = matrices(Scale(p=1, low=0.8, high=1.5))[:, 0, 0]
    assert 0.8 <= factors.min() < 0.83 < 1.47 < factors.max() <= 1.5
    shifts = matrices(Translate(p=1, max_share=0.25))[:, :2, 2]
    assert (np.abs(shifts).max(axis=0) <= (80, 60)).all()
    assert (np.abs(shifts).max(axis=0) > (75, 56)).all()
    assert (shifts == np.round(shifts)).all()
    slants = np.degrees(np.arctan(matrices(Shear(p=1, max_degrees=12))[:, [0, 1], [1, 0]]))
    assert (np.abs(slants).max(axis=0) <= 12).all()
    assert (np.abs(slants).max(axis=0) > 11).all()


@pytest.mark.parametrize("transform", [Rotate(p=1), Scale(p=1), Shear(p=1)])
def test_the_centre_stays(transform: GeometricTransform) -> None:
    center = np.array([WIDTH / 2, HEIGHT / 2, 1])
    assert matrices(transform, 20) @ center == pytest.approx(np.tile(center, (20, 1)))


def test_perspective_moves_each_corner_by_its_share_at_most() -> None:
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [WIDTH, HEIGHT, 1], [0, HEIGHT, 1]])
    mapped = matrices(Perspective(p=1, max_share=0.24)) @ corners.T
    shifts = np.abs(mapped[:, :2] / mapped[:, 2:] - corners.T[:2]) / np.array([[WIDTH], [HEIGHT]])
    assert shifts.max() <= 0.24 + 1e-9
    assert (shifts.max(axis=0) > 0.22).all()


def test_perspective_does_nothing_where_the_picture_would_meet_the_horizon() -> None:
    zoomed = Scale(p=1, low=20, high=20)(Sample.of(record()), generator())
    changed = [Perspective(p=1, max_share=0.2)(zoomed, generator(seed)) is not zoomed for seed in range(20)]
    assert not all(changed)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotate(p=1.5), r"p must be a number in \[0, 1\], got 1.5"),
        (lambda: Rotate(p=True), "p must be a number"),
        (lambda: Rotate(max_degrees=-1), r"max_degrees must be a number in \[0, 180\], got -1"),
        (lambda: Rotate(max_degrees="10"), "max_degrees must be a number"),
        (lambda: Scale(low=1.2, high=1.1), r"low must be a number in \[0.05, 1.1\], got 1.2"),
        (lambda: Scale(low=0), "low must be a number"),
        (lambda: Scale(high=float("nan")), "high must be a number"),
        (lambda: Translate(max_share=1), "max_share must be a number"),
        (lambda: Shear(max_degrees=80), "max_degrees must be a number"),
        (lambda: Perspective(max_share=0.25), r"max_share must be a number in \[0, 0.24\], got 0.25"),
        (lambda: HorizontalFlip(unless="left"), "unless must be a list of words, got 'left'"),
        (lambda: HorizontalFlip(unless=["left", ""]), "unless must be a list of words"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
