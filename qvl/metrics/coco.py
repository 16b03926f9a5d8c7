"""Average precision and recall as COCO defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import shapely

from qvl.geometry import Shape, regions
from qvl.metrics.objects import LINE, Floats, Integers, Objects

if TYPE_CHECKING:
    from hotcoco import COCO

Kind: TypeAlias = Literal["boxes", "masks"]
"""`boxes`: the bounds of boxes and polygons; `masks`: what they cover, drawn on 1000 x 1000 pixels."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_GRID: Final = 1000
_MAX_DETECTIONS: Final = (1, 10, 100)
_FRAME: Final = (0.0, 0.0, float(_GRID), float(_GRID))


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """COCO's figures over all sizes, averaged over the categories that are annotated. Lines are left out.

    The figures by size of COCO are not there: they are meant in pixels.

    Attributes:
        ap: Mean over the thresholds 0.50, 0.55, ... 0.95; None if nothing but lines is annotated, as all figures.
        ap_50: At 0.50.
        ap_75: At 0.75.
        ar_1: Average recall with one prediction of each category and picture.
        ar_10: With 10.
        ar_100: With 100, which also bounds the average precision.
        per_category: `ap` of each annotated category.
    """

    ap: float | None
    ap_50: float | None
    ap_75: float | None
    ar_1: float | None
    ar_10: float | None
    ar_100: float | None
    per_category: Mapping[str, float]

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name; those that are None are left out."""
        figures = (self.ap, self.ap_50, self.ap_75, self.ar_1, self.ar_10, self.ar_100)
        names = ("ap", "ap_50", "ap_75", "ar_1", "ar_10", "ar_100")
        return {name: figure for name, figure in zip(names, figures, strict=True) if figure is not None}


def average_precision(
    truth: Objects, predicted: Objects, *, num_pictures: int, names: Mapping[str, int], kind: Kind = "boxes"
) -> AveragePrecision:
    """Return COCO's average precision and recall of scored objects.

    Predictions of equal score are taken in the order of the pictures and of the objects in them, as pycocotools does.

    Args:
        truth: Annotated objects on the 0..1000 grid.
        predicted: Predicted objects on that grid, with their scores.
        num_pictures: Pictures of both sides.
        names: Number of each category.
        kind: What overlaps.

    Raises:
        ValueError: If `kind` is unknown or a score is not finite.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}, allowed are {', '.join(KINDS)}")
    true, said = np.flatnonzero(truth.kind != LINE), np.flatnonzero(predicted.kind != LINE)
    if not len(true):
        return AveragePrecision(None, None, None, None, None, None, {})
    scores = np.array([predicted.items[j].score for j in said.tolist()], dtype=np.float64)
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")
    annotated = _annotated(truth, true, num_pictures, names, kind)
    if not len(said):
        return AveragePrecision(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, dict.fromkeys(_names_of(truth, true, names), 0.0))
    columns = (predicted.picture[said] + 1, _sized(predicted.bounds[said]), scores, predicted.category[said] + 1)
    segments = _segments([predicted.items[j].shape for j in said.tolist()]) if kind == "masks" else None
    detections = annotated.load_res(np.column_stack(columns).astype(np.float64), segmentation=segments)
    return _evaluate(annotated, detections, names, kind)


def _evaluate(annotated: COCO, detections: COCO, names: Mapping[str, int], kind: Kind) -> AveragePrecision:
    from hotcoco import COCOeval

    evaluation = COCOeval(annotated, detections, "bbox" if kind == "boxes" else "segm")
    evaluation.params.max_dets = list(_MAX_DETECTIONS)
    evaluation.params.area_rng = [[0.0, 1e30]]  # COCO stops at 1e10 and would overlook a huge wrong box
    evaluation.params.area_rng_lbl = ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    if evaluation.eval is None:
        raise RuntimeError("hotcoco accumulated nothing")
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]  # thresholds, recalls, categories
    recall = np.asarray(evaluation.eval["recall"])[:, :, 0, :]  # thresholds, categories, numbers of detections
    order = sorted(names, key=lambda name: names[name])
    each = {name: _mean(precision[:, :, at]) for at, name in enumerate(order)}
    return AveragePrecision(
        ap=_mean(precision),
        ap_50=_mean(precision[0]),
        ap_75=_mean(precision[5]),
        ar_1=_mean(recall[..., 0]),
        ar_10=_mean(recall[..., 1]),
        ar_100=_mean(recall[..., 2]),
        per_category={name: ap for name, ap in sorted(each.items()) if ap is not None},
    )


def _mean(values: Floats) -> float | None:
    """Return the mean of what is defined; COCO writes -1 where a category is not annotated."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _annotated(truth: Objects, true: Integers, num_pictures: int, names: Mapping[str, int], kind: Kind) -> COCO:
    from hotcoco import COCO

    sized = _sized(truth.bounds[true])
    return COCO.from_arrays(
        images=[{"id": number + 1, "width": _GRID, "height": _GRID} for number in range(num_pictures)],
        categories=[{"id": number + 1, "name": name} for name, number in names.items()],
        image_ids=truth.picture[true] + 1,
        category_ids=truth.category[true] + 1,
        boxes=sized,
        area=sized[:, 2] * sized[:, 3],  # asked for beside masks; figures by size are not made
        segmentation=_segments([truth.items[i].shape for i in true.tolist()]) if kind == "masks" else None,
    )


def _sized(bounds: Floats) -> Floats:
    """Return x, y, width, height of bounds (N, 4)."""
    return np.column_stack([bounds[:, :2], bounds[:, 2:] - bounds[:, :2]])


def _names_of(truth: Objects, true: Integers, names: Mapping[str, int]) -> list[str]:
    found = set(truth.category[true].tolist())
    return sorted(name for name, number in names.items() if number in found)


def _segments(shapes: Sequence[Shape]) -> list[Any]:
    """Return masks as COCO writes them: lists of rings, or runs of pixels where rings cannot say it.

    What a polygon covers is what `regions` says, so that a ring that crosses itself is read as everywhere else; a mask
    ends at the edge of the picture.
    """
    covered = regions(shapes, line_tolerance=1.0)  # there are no lines among them
    x1, y1, x2, y2 = shapely.bounds(covered).T
    leaving = (x1 < 0) | (y1 < 0) | (x2 > _GRID) | (y2 > _GRID)
    covered[leaving] = shapely.intersection(covered[leaving], shapely.box(*_FRAME))
    return [_segment(region) for region in covered]


def _segment(region: shapely.Geometry) -> list[list[float]] | dict[str, Any]:
    parts = [part for part in shapely.get_parts(region).tolist() if part.geom_type == "Polygon" and part.area > 0]
    if parts and not any(len(part.interiors) for part in parts):
        return [_ring(part.exterior) for part in parts]
    from hotcoco import mask

    drawn = np.zeros((_GRID, _GRID), dtype=np.uint8, order="F")
    for part in parts:
        inside = _drawn(part.exterior)
        for hole in part.interiors:
            inside &= ~_drawn(hole)
        drawn |= inside
    return dict(mask.encode(drawn))


def _drawn(ring: shapely.Geometry) -> npt.NDArray[np.bool_]:
    from hotcoco import mask

    return mask.decode(mask.merge(mask.fr_py_objects([_ring(ring)], _GRID, _GRID))).astype(np.bool_)


def _ring(ring: shapely.Geometry) -> list[float]:
    return list(shapely.get_coordinates(ring)[:-1].ravel().tolist())
