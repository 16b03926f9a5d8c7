"""The door to ms-swift's inference; it is imported when something is generated, not before."""

from qvl.inference.agreeing import agree
from qvl.inference.answer_file import AnswerFile, job_path
from qvl.inference.engine import Answers, Completion, Engine, VllmEngine
from qvl.inference.evaluating import Answered, AnswerEvaluation
from qvl.inference.loading import load_model
from qvl.inference.prompt_encoding import inference_prompt
from qvl.inference.stage_a import StageA, tally
from qvl.inference.units import SUFFIXES, Unit, find_units

__all__ = [
    "SUFFIXES",
    "AnswerEvaluation",
    "AnswerFile",
    "Answered",
    "Answers",
    "Completion",
    "Engine",
    "StageA",
    "Unit",
    "VllmEngine",
    "agree",
    "find_units",
    "inference_prompt",
    "job_path",
    "load_model",
    "tally",
]
