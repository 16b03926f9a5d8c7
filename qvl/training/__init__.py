"""The door to ms-swift's training; it is imported when a run starts, not before."""

from qvl.training.arguments import accumulation_steps, check_liger
from qvl.training.job import Evaluate, TrainingJob, TrainingResult
from qvl.training.model_view import ModelView
from qvl.training.pipeline import SwiftTrainer
from qvl.training.prompt_encoding import training_prompt
from qvl.training.prompt_view import PromptView, render_view, view_turn
from qvl.training.restart import earlier_result, write_result
from qvl.training.run_view import show_result
from qvl.training.template import load_encoder

__all__ = [
    "Evaluate",
    "ModelView",
    "PromptView",
    "SwiftTrainer",
    "TrainingJob",
    "TrainingResult",
    "accumulation_steps",
    "check_liger",
    "earlier_result",
    "load_encoder",
    "render_view",
    "show_result",
    "training_prompt",
    "view_turn",
    "write_result",
]
