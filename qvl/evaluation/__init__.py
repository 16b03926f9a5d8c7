"""Predictions as values: read, given their truth, scored and compared."""

from __future__ import annotations

from qvl.evaluation.aligning import align_pictures
from qvl.evaluation.console import show
from qvl.evaluation.folder import check_folder, open_folder, write_figures
from qvl.evaluation.prediction import Prediction, make_prediction, read_predictions
from qvl.evaluation.results import Evaluation, Settings, evaluate_predictions
from qvl.evaluation.scoring import Scores, answer_of, score_predictions, score_summaries
from qvl.evaluation.sentences import tell_counts, tell_differences, tell_files
from qvl.evaluation.summary_words import find_writer
from qvl.evaluation.tables import Table, category_tables, failure_table, score_table
from qvl.evaluation.truth import match_truth

__all__ = [
    "Evaluation",
    "Prediction",
    "Scores",
    "Settings",
    "Table",
    "align_pictures",
    "answer_of",
    "category_tables",
    "check_folder",
    "evaluate_predictions",
    "failure_table",
    "find_writer",
    "make_prediction",
    "match_truth",
    "open_folder",
    "read_predictions",
    "score_predictions",
    "score_summaries",
    "score_table",
    "show",
    "tell_counts",
    "tell_differences",
    "tell_files",
    "write_figures",
]
