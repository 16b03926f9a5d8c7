"""Scores of predicted objects."""

from __future__ import annotations

from qvl.metrics.detection import LINE_TOLERANCE, CategoryResult, DetectionMetric, DetectionResult
from qvl.metrics.matching import Labelled, Matching, match

__all__ = [
    "LINE_TOLERANCE",
    "CategoryResult",
    "DetectionMetric",
    "DetectionResult",
    "Labelled",
    "Matching",
    "match",
]
