"""The door to ms-swift's training; it is imported when a run starts, not before."""

from qvl.training.arguments import accumulation_steps
from qvl.training.job import Evaluate, TrainingJob, TrainingResult
from qvl.training.pipeline import SwiftTrainer
from qvl.training.restart import earlier_result, write_result

__all__ = [
    "Evaluate",
    "SwiftTrainer",
    "TrainingJob",
    "TrainingResult",
    "accumulation_steps",
    "earlier_result",
    "write_result",
]
