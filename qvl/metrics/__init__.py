"""Scores of what a model says: objects, summaries, verdicts."""

from __future__ import annotations

from qvl.metrics.agreement import AttributeResult, CountResult, DescriptionResult
from qvl.metrics.coco import KINDS, AveragePrecision, Kind
from qvl.metrics.detection import CategoryResult, DetectionMetric, DetectionResult
from qvl.metrics.failures import Answer, FailureRates, Failures, ends_in_loop, picture_failures
from qvl.metrics.matching import METHODS, Matching, Method, match
from qvl.metrics.names import HEADLINE, higher_is_better, is_score, label_of
from qvl.metrics.objects import Labelled
from qvl.metrics.overlaps import LINE_TOLERANCE
from qvl.metrics.report import THRESHOLDS, DetectionReport, PictureCounts, ReportMetric
from qvl.metrics.resampling import Comparison, Interval, bootstrap_intervals, paired_comparison
from qvl.metrics.summary import SummaryCounts, SummaryMetric, SummaryResult, read_summary
from qvl.metrics.verdict import VerdictMetric, VerdictResult

__all__ = [
    "HEADLINE",
    "KINDS",
    "LINE_TOLERANCE",
    "METHODS",
    "THRESHOLDS",
    "Answer",
    "AttributeResult",
    "AveragePrecision",
    "CategoryResult",
    "Comparison",
    "CountResult",
    "DescriptionResult",
    "DetectionMetric",
    "DetectionReport",
    "DetectionResult",
    "FailureRates",
    "Failures",
    "Interval",
    "Kind",
    "Labelled",
    "Matching",
    "Method",
    "PictureCounts",
    "ReportMetric",
    "SummaryCounts",
    "SummaryMetric",
    "SummaryResult",
    "VerdictMetric",
    "VerdictResult",
    "bootstrap_intervals",
    "ends_in_loop",
    "higher_is_better",
    "is_score",
    "label_of",
    "match",
    "paired_comparison",
    "picture_failures",
    "read_summary",
]
