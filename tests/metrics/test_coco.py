"""Average precision and recall are those of pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from qvl.geometry import Box, Polygon, Polyline
from qvl.metrics import Labelled, ReportMetric
from qvl.metrics.coco import average_precision
from qvl.metrics.objects import pack

PICTURES, CATEGORIES = 12, 4


def random_sides(seed, *, polygons=False, scored=True):
    rng = np.random.default_rng(seed)
    truth, predicted = [], []
    for _ in range(PICTURES):
        corners, sizes = rng.uniform(0, 700, (15, 2)), rng.uniform(5, 300, (15, 2))
        names = rng.integers(0, CATEGORIES, 15)
        near, like = corners + rng.normal(0, 15, (15, 2)), sizes * rng.uniform(0.8, 1.2, (15, 2))
        said = np.where(rng.random(15) < 0.8, names, rng.integers(0, CATEGORIES + 1, 15))  # one is never annotated
        scores = rng.integers(0, 6, 15) / 5.0 if scored else np.ones(15)  # few, so that equal scores are common
        make = octagon if polygons else box
        truth.append([Labelled(f"c{n}", make(*c, *s)) for n, c, s in zip(names, corners, sizes, strict=True)])
        predicted.append(
            [Labelled(f"c{n}", make(*c, *s), score=v) for n, c, s, v in zip(said, near, like, scores, strict=True)]
        )
    return truth, predicted


def box(x, y, width, height):
    return Box(x, y, x + width, y + height)


def octagon(x, y, width, height):
    turns = np.arange(8) / 8 * 2 * np.pi
    return Polygon(np.stack([x + width / 2 * (1 + np.cos(turns)), y + height / 2 * (1 + np.sin(turns))], axis=1))


def figures(truth, predicted, *, kind="boxes"):
    numbers: dict[str, int] = {}
    sides = pack(truth, numbers), pack(predicted, numbers)
    return average_precision(*sides, num_pictures=len(truth), names=numbers, kind=kind)


def rows(side, names, *, masks) -> list[dict[str, Any]]:
    found = []
    for picture, items in enumerate(side, 1):
        for item in items:
            x1, y1, x2, y2 = item.shape.bounds()
            row = {"id": len(found) + 1, "image_id": picture, "category_id": names[item.category], "iscrowd": 0}
            row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "score": item.score}
            if masks:
                row["segmentation"] = [list(item.shape.flat())]
            found.append(row)
    return found


def reference(truth, predicted, *, masks=False) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    names = {name: n for n, name in enumerate(sorted({i.category for side in (*truth, *predicted) for i in side}), 1)}
    annotated, said = COCO(), COCO()
    for data, side in ((annotated, truth), (said, predicted)):
        data.dataset = {
            "images": [{"id": number + 1, "width": 1000, "height": 1000} for number in range(len(truth))],
            "categories": [{"id": number, "name": name} for name, number in names.items()],
            "annotations": rows(side, names, masks=masks),
        }
    with contextlib.redirect_stdout(io.StringIO()):
        annotated.createIndex()
        said.createIndex()
        evaluation = COCOeval(annotated, said, "segm" if masks else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(evaluation.stats[at]) for at in (0, 1, 2, 6, 7, 8)]


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_boxes_score_as_in_pycocotools(seed, scored):
    sides = random_sides(seed, scored=scored)
    found = list(figures(*sides).as_dict().values())
    assert 0.0 < found[0] < found[1] < 1.0
    assert found == pytest.approx(reference(*sides), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_masks_score_as_in_pycocotools(seed):
    sides = random_sides(seed, polygons=True)
    found = list(figures(*sides, kind="masks").as_dict().values())
    assert 0.0 < found[0] < 1.0
    assert found == pytest.approx(reference(*sides, masks=True), abs=1e-9)


def test_log_probabilities_score_like_any_numbers_of_that_order():
    truth, predicted = random_sides(0)
    shifted = [[replace(item, score=item.score - 7.0) for item in side] for side in predicted]
    assert figures(truth, shifted) == figures(truth, predicted)


def test_a_ring_that_crosses_itself_covers_what_it_covers_everywhere_else():
    twice = Polygon(np.array([[0, 0], [400, 0], [400, 400], [0, 400]] * 2))  # pixels of even count would be empty
    once = Polygon(np.array([[0, 0], [400, 0], [400, 400], [0, 400]]))
    assert figures([[Labelled("a", twice)]], [[Labelled("a", once)]], kind="masks").ap == pytest.approx(1.0)


def test_a_hole_is_not_covered():
    keyhole = [
        [0, 0],
        [400, 0],
        [400, 400],
        [0, 400],
        [0, 0],
        [100, 100],
        [100, 300],
        [300, 300],
        [300, 100],
        [100, 100],
    ]
    ring, filled = Polygon(np.array(keyhole)), Box(0, 0, 400, 400)
    found = figures([[Labelled("a", ring)]], [[Labelled("a", filled)]], kind="masks")
    assert (found.ap_50, found.ap) == (pytest.approx(1.0), pytest.approx(0.6))  # IoU 0.75


def test_a_mask_ends_at_the_edge_of_the_picture():
    inside, beyond = Box(500, 0, 1000, 1000), Box(500, -800, 9e5, 1500)
    assert figures([[Labelled("a", inside)]], [[Labelled("a", beyond)]], kind="masks").ap == pytest.approx(1.0)
    assert figures([[Labelled("a", inside)]], [[Labelled("a", Box(2e3, 0, 3e3, 9))]], kind="masks").ap == 0.0
    flat = Polygon(np.array([[0, 0], [500, 500], [900, 900]]))  # covers nothing
    assert figures([[Labelled("a", inside)]], [[Labelled("a", flat)]], kind="masks").ap == 0.0


def test_a_huge_box_is_a_wrong_one():
    right, huge = Labelled("a", Box(0, 0, 10, 10), score=0.1), Labelled("a", Box(-1e6, -1e6, 1e6, 1e6), score=0.9)
    assert figures([[right]], [[right, huge]]).ap == pytest.approx(0.5)


def test_lines_are_left_out_and_nothing_annotated_has_no_figure():
    line = Labelled("cable", Polyline(np.array([[0, 0], [100, 100]])))
    boxed = Labelled("screw", Box(0, 0, 10, 10))
    assert figures([[line]], [[line]]).as_dict() == {}
    assert figures([[line, boxed]], [[boxed]]).ap == pytest.approx(1.0)
    assert figures([[boxed]], [[line]]).as_dict() == dict.fromkeys(figures([[boxed]], [[boxed]]).as_dict(), 0.0)
    assert figures([[boxed]], [[]]).per_category == {"screw": 0.0}


def test_scores_that_are_no_numbers_are_refused():
    metric = ReportMetric().update([Labelled("a", Box(0, 0, 1, 1))], [Labelled("a", Box(0, 0, 1, 1), "", float("nan"))])
    with pytest.raises(ValueError, match="scores must be finite, got nan"):
        metric.compute()


def test_nothing_is_printed(capfd):
    figures(*random_sides(0))
    assert capfd.readouterr() == ("", "")
