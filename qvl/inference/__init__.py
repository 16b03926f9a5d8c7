"""The door to ms-swift's inference; it is imported when something is generated, not before."""

from qvl.inference.detection import DetectionEvaluation
from qvl.inference.engine import Completion, Engine

__all__ = ["Completion", "DetectionEvaluation", "Engine"]
