"""The proof by picture: what is painted at known places lies, after rendering, where the transformed shapes say."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import shapely

from qvl.augmentation import (
    Compose,
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
    render,
)
from qvl.augmentation.transform import GeometricTransform
from qvl.geometry import Box, Polygon, Polyline, Shape, apply, invert
from qvl.records import ObjectRecord, Record, Source

WIDTH, HEIGHT = 480, 360
CELL = 120  # one shape in each, so that colours never mix
GROUND = 128  # also what is seen outside the picture
COLORS = np.array([[210, 50, 50], [50, 210, 60], [60, 70, 215], [215, 205, 40], [45, 200, 205], [205, 55, 200]])
STROKE = 2.5  # half the width of a painted line, pixels
FINE = 8  # samples a pixel and axis when painting
MARGIN = 5  # pixels around a shape in which its colour is looked for


@dataclass(frozen=True)
class Scene:
    """A painted picture and its annotation."""

    record: Record
    image: np.ndarray
    colors: dict[str, np.ndarray]


@dataclass(frozen=True)
class Offset:
    """How far the pixels of one object are from its shape, in pixels.

    Attributes:
        centroid: Distance of the centroids.
        edge: Difference of the areas, spread over the outline: what the edges are off on average.
    """

    centroid: float
    edge: float


def random_shape(rng: np.random.Generator, column: int, row: int) -> Shape:
    """A box, a convex or a concave polygon, a straight or a bent line within its cell, at no whole coordinates."""
    center = np.array([column + 0.5, row + 0.5]) * CELL + rng.uniform(-6, 6, size=2)
    size = rng.uniform(16, 32, size=2)
    angles = np.sort((np.arange(5) + rng.uniform(-0.3, 0.3, size=5)) * (2 * math.pi / 5))
    match int(rng.integers(5)):
        case 0:
            (x1, y1), (x2, y2) = center - size, center + size
            return Box(x1, y1, x2, y2)
        case 1:
            return Polygon(center + size * np.stack([np.cos(angles), np.sin(angles)], axis=1))
        case 2:
            corners = np.array([[-1, -1], [1, -1], [1, 0], [0, 0], [0, 1], [-1, 1]])
            return Polygon(center + size * corners)
        case 3:
            return Polyline(np.stack([center - size, center + size * [1, rng.uniform(-1, 1)]]))
        case _:
            return Polyline(np.stack([center - size, center + size * [0.1, -0.4], center + size]))


def region(shape: Shape, stroke: float) -> shapely.Geometry:
    """What a shape covers; a line has a stroke with flat ends."""
    match shape:
        case Box():
            return shapely.box(*shape.bounds())
        case Polygon():
            return shapely.polygons(shape.points)
        case _:
            line = shapely.linestrings(shape.points)
            return shapely.buffer(line, stroke, cap_style="flat", join_style="mitre", mitre_limit=10)


def paint(image: np.ndarray, covered: shapely.Geometry, color: np.ndarray) -> None:
    """Paint a region with exact edges: each pixel holds the share of it that is covered."""
    x1, y1, x2, y2 = (int(value) for value in shapely.bounds(covered))
    window = slice(y1 - 1, y2 + 2), slice(x1 - 1, x2 + 2)
    rows = np.arange((y1 - 1) * FINE, (y2 + 2) * FINE) + 0.5
    columns = np.arange((x1 - 1) * FINE, (x2 + 2) * FINE) + 0.5
    shapely.prepare(covered)
    inside = shapely.contains_xy(covered, *np.meshgrid(columns / FINE, rows / FINE))
    share = inside.reshape(len(rows) // FINE, FINE, len(columns) // FINE, FINE).mean(axis=(1, 3))[..., None]
    image[window] = image[window] * (1 - share) + color * share


@lru_cache(maxsize=64)
def make_scene(seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), float(GROUND))
    objects, colors = [], {}
    for row in range(HEIGHT // CELL):
        for column in range(WIDTH // CELL):
            shape = random_shape(rng, column, row)
            color = COLORS[rng.integers(len(COLORS))]
            paint(image, region(shape, STROKE), color)
            objects.append(ObjectRecord(f"type=part,id={column}.{row}", shape))
            colors[objects[-1].desc] = color - GROUND
    record = Record(("a.png",), tuple(objects), WIDTH, HEIGHT, Source("rows.jsonl", 1))
    return Scene(record, np.round(image).astype(np.uint8), colors)


def half_width(sample: Sample, line: Polyline) -> float:
    """Half the width that the painted stroke of a line has on the canvas."""
    step = (line.points[-1] - line.points[0]) / np.hypot(*(line.points[-1] - line.points[0]))
    middle = line.points[[0, -1]].mean(axis=0)
    start, along, across = apply(
        invert(sample.view.matrix), np.stack([middle, middle + step, middle + step[::-1] * [-1, 1]])
    )
    along, across = along - start, across - start
    return float(STROKE * np.hypot(*along) / abs(along[0] * across[1] - along[1] * across[0]))


def visible(sample: Sample, shape: Shape, coverage: float) -> shapely.Geometry:
    """The pixels that a shape on the canvas stands for."""
    canvas = shapely.polygons(sample.view.region)
    if not isinstance(shape, Polyline):
        return shapely.intersection(region(shape, 0), canvas)
    points = shape.points.copy()
    cut = [end for end in (0, -1) if coverage < 1 and canvas.exterior.distance(shapely.points(points[end])) < 1e-6]
    for end in cut:  # the stroke goes on as far as the line did; where both ends were cut it leaves the canvas anyway
        missing = (1 / coverage - 1) if len(cut) == 1 else 100
        points[end] += (shape.points[end] - shape.points[-1 - end]) * missing
    return shapely.intersection(region(Polyline(points), half_width(sample, shape)), canvas)


def says_all(shape: Shape, coverage: float) -> bool:
    """Tell whether a shape is certainly all that is seen of its object: no second part was left out."""
    if coverage == 1 or isinstance(shape, Box):
        return True
    if isinstance(shape, Polyline):
        return len(shape.points) == 2
    covered = region(shape, 0)
    return bool(shapely.convex_hull(covered).area < 1.001 * covered.area)


def offset(expected: shapely.Geometry, color: np.ndarray, pixels: np.ndarray) -> Offset:
    """Measure where the pixels of one colour are, against where they should be."""
    x1, y1, x2, y2 = shapely.bounds(expected)
    left, top = max(math.floor(x1) - MARGIN, 0), max(math.floor(y1) - MARGIN, 0)
    seen = pixels[top : math.ceil(y2) + MARGIN, left : math.ceil(x2) + MARGIN] - float(GROUND)
    weight = seen @ color / (color @ color)
    rows, columns = np.indices(weight.shape) + 0.5
    found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum() + (left, top)
    distance = found - shapely.get_coordinates(shapely.centroid(expected))[0]
    return Offset(float(np.hypot(*distance)), float(abs(weight.sum() - expected.area) / expected.length))


def offsets(scene: Scene, sample: Sample, pixels: np.ndarray) -> Iterator[Offset]:
    coverage = {item.desc: seen.coverage for item, seen in zip(scene.record.objects, sample.seen, strict=True)}
    for item in sample.record.objects:
        if says_all(item.shape, coverage[item.desc]):
            yield offset(visible(sample, item.shape, coverage[item.desc]), scene.colors[item.desc], pixels)


def measure(transform: object, seeds: range) -> list[Offset]:
    found = []
    for seed in seeds:
        scene = make_scene(seed)
        sample = transform(Sample.of(scene.record), np.random.default_rng(seed))
        found += offsets(scene, sample, render(sample, scene.image))
    return found


def check(found: list[Offset], at_least: int) -> None:
    assert len(found) >= at_least
    for values in ([item.centroid for item in found], [item.edge for item in found]):
        assert max(values) <= 1.0
        assert float(np.mean(values)) < 0.1


ALONE = [
    HorizontalFlip(p=1),
    VerticalFlip(p=1),
    Rotate(p=1, max_degrees=20),
    Rotate(p=1, max_degrees=180),
    Scale(p=1, low=0.6, high=1.4),
    Scale(p=1, low=0.3, high=0.5),
    Translate(p=1, max_share=0.3),
    Shear(p=1, max_degrees=12),
    Perspective(p=1, max_share=0.08),
    ResizeByScale(p=1, low=0.3, high=1.7),
    ExpandToFit(p=1, multiple=64),
    ExpandToFit(p=1, multiple=32, max_pixels=90_000),
    RoiCrop(p=1, anchors={"type": ["part"]}, min_size=100, scale_high=4.0),
]


@pytest.mark.parametrize("transform", ALONE, ids=lambda item: f"{type(item).__name__}")
def test_pixels_and_shapes_move_together(transform: GeometricTransform) -> None:
    check(measure(transform, range(8)), at_least=12)


def random_composition(seed: int) -> Compose:
    """Some of all transforms, in a random order; ExpandToFit, if any, is last."""
    rng = np.random.default_rng([7, seed])
    pool = [
        HorizontalFlip(p=1),
        VerticalFlip(p=1),
        Rotate(p=1, max_degrees=30),
        Scale(p=1, low=0.7, high=1.3),
        Translate(p=1, max_share=0.15),
        Shear(p=1, max_degrees=8),
        Perspective(p=1, max_share=0.04),
        ResizeByScale(p=1, low=0.6, high=1.4),
        RoiCrop(p=0.5, anchors={"type": ["part"]}, min_size=200, scale_high=6.0),
    ]
    chosen = [pool[number] for number in rng.permutation(len(pool))[: rng.integers(2, 6)]]
    chosen += [ExpandToFit(p=1, multiple=32)] * int(rng.integers(2))
    return Compose(transforms={str(number): transform for number, transform in enumerate(chosen)})


def test_pixels_and_shapes_move_together_through_any_composition() -> None:
    found = []
    for seed in range(40):
        scene = make_scene(seed)
        sample = random_composition(seed)(Sample.of(scene.record), np.random.default_rng(seed))
        sample = sample.resized(max(sample.record.width // 32, 4) * 32, max(sample.record.height // 32, 4) * 32)
        found += offsets(scene, sample, render(sample, scene.image))
    check(found, at_least=150)


def test_the_measurement_sees_half_a_pixel() -> None:
    """A proof that cannot fail proves nothing."""
    scene = make_scene(0)
    sample = HorizontalFlip(p=1)(Sample.of(scene.record), np.random.default_rng(0))
    shifted = np.roll(render(sample, scene.image), 1, axis=1)
    found = [item.centroid for item in offsets(scene, sample, shifted)]
    assert min(found) > 0.9
    grown = Scale(p=1, low=1.03, high=1.03)(Sample.of(scene.record), np.random.default_rng(0))
    assert float(np.mean([item.edge for item in offsets(scene, grown, scene.image)])) > 0.3
