"""What a whole report costs against COCO's mAP: `python tests/benchmarks/metrics_cost.py [pictures [rounds]]`.

5,000 pictures with 20 annotated and 20 predicted boxes each, in 80 categories. `ReportMetric` (one matching, all
figures, average precision) and pycocotools' bounding box mAP on the same boxes alternate in one process; the figure is
the ratio of the medians. Neither side is charged for making its inputs, objects here and dictionaries there.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time

import numpy as np

from qvl.geometry import Box
from qvl.metrics import Answer, Labelled, ReportMetric

OBJECTS, CATEGORIES = 20, 80


def draw(num_pictures: int) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and prediction (N, 7): picture from 1, x, y, width, height, score, category from 1."""
    rng = np.random.default_rng(0)
    count = num_pictures * OBJECTS
    picture = np.repeat(np.arange(1, num_pictures + 1), OBJECTS)
    sizes = rng.uniform(20, 200, (count, 2))
    corners = rng.uniform(0, 800, (count, 2))
    category = rng.integers(1, CATEGORIES + 1, count)
    said = np.where(rng.random(count) < 0.9, category, rng.integers(1, CATEGORIES + 1, count))
    near = corners + rng.normal(0, 8, (count, 2)), sizes * rng.uniform(0.8, 1.2, (count, 2))
    truth = np.column_stack([picture, corners, sizes, np.ones(count), category])
    return truth, np.column_stack([picture, *near, rng.random(count), said])


def objects(rows: np.ndarray, num_pictures: int) -> list[list[Labelled]]:
    """Return the objects of each picture, with one of 400 descriptions each."""
    pictures: list[list[Labelled]] = [[] for _ in range(num_pictures)]
    for number, (picture, x, y, width, height, score, category) in enumerate(rows.tolist()):
        desc = f"type=c{int(category)},color={number % 5}"
        pictures[int(picture) - 1].append(Labelled(f"c{int(category)}", Box(x, y, x + width, y + height), desc, score))
    return pictures


def time_report(truth: list[list[Labelled]], predicted: list[list[Labelled]]) -> tuple[float, float]:
    """Return the seconds and the mAP."""
    answers = [Answer(text='{"object_1": {"desc": "x"}}' * OBJECTS) for _ in truth]
    start = time.perf_counter()
    metric = ReportMetric()
    for true, said, answer in zip(truth, predicted, answers, strict=True):
        metric.update(true, said, answer)
    result = metric.compute()
    seconds = time.perf_counter() - start
    return seconds, float(result.average_precision["boxes"].ap or 0.0)


def time_reference(truth: np.ndarray, predicted: np.ndarray, num_pictures: int) -> tuple[float, float]:
    """Return the seconds of pycocotools and its mAP."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    rows = [
        dict(zip(names, (number, int(row[0]), int(row[6]), row[1:5], row[3] * row[4], 0), strict=True))
        for number, row in enumerate(truth.tolist(), 1)
    ]
    annotated = COCO()
    annotated.dataset = {
        "images": [{"id": number + 1, "width": 1000, "height": 1000} for number in range(num_pictures)],
        "categories": [{"id": number + 1, "name": f"c{number + 1}"} for number in range(CATEGORIES)],
        "annotations": rows,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        annotated.createIndex()
        evaluation = COCOeval(annotated, annotated.loadRes(predicted.copy()), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return time.perf_counter() - start, float(evaluation.stats[0])


def main(num_pictures: int = 5000, rounds: int = 3) -> None:
    truth, predicted = draw(num_pictures)
    sides = objects(truth, num_pictures), objects(predicted, num_pictures)
    own, reference = [], []
    for _ in range(rounds):
        own.append(time_report(*sides))
        reference.append(time_reference(truth, predicted, num_pictures))
    seconds, theirs = (statistics.median(second for second, _ in runs) for runs in (own, reference))
    sys.stdout.write(
        f"report: {seconds:.3f} s, pycocotools: {theirs:.2f} s, ratio {seconds / theirs:.4f}; "
        f"mAP differs by {abs(own[0][1] - reference[0][1]):.1e}\n"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
