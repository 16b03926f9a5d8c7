"""Scores of what a model says: objects, summaries, verdicts."""

from __future__ import annotations

from qvl.metrics.agreement import AttributeResult, CountResult, DescriptionResult
from qvl.metrics.coco import KINDS, AveragePrecision, Kind
from qvl.metrics.detection import CategoryResult, DetectionMetric, DetectionResult
from qvl.metrics.failures import Answer, FailureRates, ends_in_loop
from qvl.metrics.matching import METHODS, Matching, Method, match
from qvl.metrics.objects import Labelled
from qvl.metrics.overlaps import LINE_TOLERANCE
from qvl.metrics.report import THRESHOLDS, DetectionReport, PictureCounts, ReportMetric
from qvl.metrics.summary import SummaryMetric, SummaryResult, read_summary
from qvl.metrics.verdict import VerdictMetric, VerdictResult

__all__ = [
    "KINDS",
    "LINE_TOLERANCE",
    "METHODS",
    "THRESHOLDS",
    "Answer",
    "AttributeResult",
    "AveragePrecision",
    "CategoryResult",
    "CountResult",
    "DescriptionResult",
    "DetectionMetric",
    "DetectionReport",
    "DetectionResult",
    "FailureRates",
    "Kind",
    "Labelled",
    "Matching",
    "Method",
    "PictureCounts",
    "ReportMetric",
    "SummaryMetric",
    "SummaryResult",
    "VerdictMetric",
    "VerdictResult",
    "ends_in_loop",
    "match",
    "read_summary",
]
