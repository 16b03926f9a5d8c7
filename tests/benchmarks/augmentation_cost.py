"""What augmentation costs and how true its labels are: `python tests/benchmarks/augmentation_cost.py [OUT.json]`.

Mirror, turn, scale and colours of a 1920 x 1080 picture in memory with 20 objects of 96 points, CPU time of one thread.
albumentations (the last release under MIT is 2.0.8) is measured where it is installed; qvl does not need it.
Aims: "ours" at most half of "albumentations" with the same transforms, labels at most 0.05 pixels off before rounding.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import shapely
from side_by_side import HEIGHT, WIDTH, annotations, photo, ratio, save, table, time_cases

from qvl.augmentation import (
    ColorJitter,
    Compose,
    HorizontalFlip,
    Perspective,
    Rotate,
    Sample,
    Scale,
    Shear,
    Translate,
    render,
)
from qvl.geometry import Box, Polygon, Polyline, Shape
from qvl.records import ObjectRecord, Record, Source

ROUNDS = 30
MODEL_SIZE = (1344, 768)
GREY = 128
OUT = Path("multirun_outputs/benchmarks/augmentation_cost.json")
Case = Callable[[int], object]


def main() -> None:
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    image, record = photo(0), make_record(annotations(0))
    cases: dict[str, Case] = {"copy of the picture": lambda _: image.copy(), **our_cases(image, record)}
    if all(importlib.util.find_spec(name) for name in ("albumentations", "albucore")):
        cases["albumentations, one warp"] = albumentations_case(image, record, is_one_warp=True)
        cases["albumentations"] = albumentations_case(image, record, is_one_warp=False)
    cases["torchvision v2"] = torchvision_case(image, record)
    seconds = time_cases(cases, rounds=ROUNDS)
    errors = {name: label_errors(transforms) for name, transforms in geometric_chains().items()}
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT, seconds, {"label_errors_pixels": errors, "rounds": ROUNDS})
    sys.stdout.write(table(seconds, to=["torchvision v2"]))
    if "albumentations" in cases:
        shares = [f"{ratio(seconds, 'ours', name):.2f} of {name}" for name in seconds if "albumentations" in name]
        sys.stdout.write(f"\nours is {', '.join(shares)}\n")
    sys.stdout.write("\n| chain | dots | mean error, pixels | largest |\n|---|---:|---:|---:|\n")
    for name, found in errors.items():
        sys.stdout.write(f"| {name} | {len(found)} | {np.mean(found):.4f} | {max(found):.4f} |\n")


def make_record(items: list[dict[str, object]]) -> Record:
    objects = tuple(
        ObjectRecord("dot" if key == "dot" else str(item["desc"]), make_shape(key, np.array(item[key], np.float64)))
        for item in items
        for key in item
        if key != "desc"
    )
    return Record((), objects, WIDTH, HEIGHT, Source("rows.jsonl", 1))


def make_shape(key: str, flat: np.ndarray) -> Shape:
    if key == "bbox_2d":
        return Box(*flat.tolist())
    return (Polygon if key == "poly" else Polyline)(flat.reshape(-1, 2))


def our_cases(image: np.ndarray, record: Record) -> dict[str, Case]:
    draw = np.random.default_rng(0)
    augment = Compose(
        transforms={
            "hflip": HorizontalFlip(p=0.5),
            "rotate": Rotate(max_degrees=10, p=1.0),
            "scale": Scale(low=0.9, high=1.1, p=1.0),
            "color": ColorJitter(brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), p=1.0),
        }
    )
    geometry = Compose(transforms={key: augment.transforms[key] for key in ("hflip", "rotate", "scale")})
    sample = Sample.of(record)
    return {
        "ours, objects alone": lambda _: augment(sample, draw).record,
        "ours, without colours": lambda _: picture_and_record(geometry(sample, draw), image),
        "ours": lambda _: picture_and_record(augment(sample, draw), image),
        "ours, straight to the model's size": lambda _: picture_and_record(
            augment(sample, draw).resized(*MODEL_SIZE), image
        ),
    }


def picture_and_record(sample: Sample, image: np.ndarray) -> tuple[np.ndarray, Record]:
    return render(sample, image), sample.record


def albumentations_case(image: np.ndarray, record: Record, *, is_one_warp: bool) -> Case:
    """The same transforms one after the other, bilinear as ours; or turn and scale joined by hand into one of them."""
    import albumentations

    turn = {"rotate": (-10, 10), "fill": GREY, "p": 1.0}
    scale = {"scale": (0.9, 1.1), "fill": GREY, "p": 1.0}
    moves = [{**turn, **scale}] if is_one_warp else [turn, scale]
    augment = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            *(albumentations.Affine(**move) for move in moves),
            albumentations.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (0.0, 0.0), p=1.0),
        ],
        keypoint_params=albumentations.KeypointParams("xy", remove_invisible=False),
    )
    points = all_points(record) - 0.5  # it counts from pixel centres
    return lambda _: augment(image=image, keypoints=points)


def torchvision_case(image: np.ndarray, record: Record) -> Case:
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import InterpolationMode, v2

    augment = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(10, scale=(0.9, 1.1), interpolation=InterpolationMode.BILINEAR, fill=GREY),
            v2.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2)),
        ]
    )
    picture = tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))))
    points = tv_tensors.KeyPoints(torch.from_numpy(all_points(record)), canvas_size=(HEIGHT, WIDTH))
    return lambda _: augment(picture, points)


def all_points(record: Record) -> np.ndarray:
    """Return (96, 2): the vertices of all objects, four for a box."""
    corners = [
        np.array([[box.x1, box.y1], [box.x2, box.y1], [box.x2, box.y2], [box.x1, box.y2]])
        for box in (item.shape for item in record.objects)
        if isinstance(box, Box)
    ]
    others = [item.shape.points for item in record.objects if not isinstance(item.shape, Box)]
    return np.concatenate(corners + others)


def geometric_chains() -> dict[str, list[object]]:
    flip, rotate, scale = HorizontalFlip(p=1.0), Rotate(max_degrees=10, p=1.0), Scale(low=0.8, high=1.2, p=1.0)
    shear, move = Shear(max_degrees=5, p=1.0), Translate(max_share=0.05, p=1.0)
    bend = Perspective(max_share=0.05, p=1.0)
    return {
        "flip": [flip],
        "rotate": [rotate],
        "scale": [scale],
        "shear": [shear],
        "perspective": [bend],
        "flip, rotate, scale": [flip, rotate, scale],
        "all, to the model's size": [flip, move, rotate, shear, scale, bend, MODEL_SIZE],
    }


def label_errors(transforms: list) -> list[float]:
    """Return the distances, in pixels, of painted dots from where their labels went; ten draws."""
    errors = []
    for seed in range(10):
        draw = np.random.default_rng(seed)
        dots = dot_centres(draw)
        items = [{"desc": "dot", "line": [x, y, x + 4.0, y]} for x, y in dots.tolist()]
        sample = Sample.of(make_record(items))
        for transform in transforms:
            sample = sample.resized(*transform) if isinstance(transform, tuple) else transform(sample, draw)
        image = render(sample, paint_dots(dots)).astype(np.float64)[:, :, 0] - GREY
        whole = shapely.Polygon(sample.view.region).buffer(-30)  # no dot in there is cut
        for x, y in (item.shape.points[0] for item in sample.record.objects):
            if whole.contains(shapely.Point(x, y)):
                errors.append(float(np.hypot(*(centroid(image, x, y) - (x, y)))))
    return errors


def dot_centres(draw: np.random.Generator) -> np.ndarray:
    """Return (98, 2) points at fractions of a pixel, far enough apart to be told from each other."""
    x, y = np.meshgrid(np.arange(80, WIDTH - 60, 130.0), np.arange(80, HEIGHT - 60, 135.0))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    return grid + draw.uniform(-10, 10, size=grid.shape)


def paint_dots(centres: np.ndarray) -> np.ndarray:
    """Paint bright round blobs with a soft edge on grey; their centroid is the centre, in pixel edges."""
    image = np.full((HEIGHT, WIDTH), float(GREY))
    for x, y in centres:
        left, top = int(x) - 16, int(y) - 16
        across, down = np.arange(left, left + 33) + 0.5 - x, np.arange(top, top + 33) + 0.5 - y
        image[top : top + 33, left : left + 33] += 120 * np.exp(-(across**2 + down[:, None] ** 2) / (2 * 3.5**2))
    return np.repeat(image.round().astype(np.uint8)[:, :, None], 3, axis=2)


def centroid(weights: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return the centre of mass, in pixel edges, of what lies within 18 pixels of a point."""
    left, top = int(x) - 18, int(y) - 18
    window = weights[top : top + 37, left : left + 37]
    across, down = np.arange(left, left + 37) + 0.5, np.arange(top, top + 37) + 0.5
    return np.array([(window * across).sum(), (window * down[:, None]).sum()]) / window.sum()


if __name__ == "__main__":
    main()
