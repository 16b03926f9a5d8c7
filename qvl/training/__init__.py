"""The door to ms-swift's training; it is imported when a run starts, not before."""

from qvl.training.arguments import accumulation_steps
from qvl.training.job import Evaluate, TrainingJob, TrainingResult
from qvl.training.model_view import ModelView
from qvl.training.pipeline import SwiftTrainer
from qvl.training.plan_view import render_plan
from qvl.training.planner import make_plan
from qvl.training.preload import grow_segments
from qvl.training.prompt_encoding import training_prompt
from qvl.training.prompt_view import PromptView, render_view, view_turn
from qvl.training.restart import earlier_result, write_result
from qvl.training.run_plan import RunPlan
from qvl.training.run_view import show_result
from qvl.training.template import load_encoder

__all__ = [
    "Evaluate",
    "ModelView",
    "PromptView",
    "RunPlan",
    "SwiftTrainer",
    "TrainingJob",
    "TrainingResult",
    "accumulation_steps",
    "earlier_result",
    "grow_segments",
    "load_encoder",
    "make_plan",
    "render_plan",
    "render_view",
    "show_result",
    "training_prompt",
    "view_turn",
    "write_result",
]
