"""Checks that fail, never warn: what the model is given is what was asked for."""

from __future__ import annotations

from qvl.health.agreement import Disagreement, EncodedPrompt, compare_prompts
from qvl.health.checks import (
    IGNORED,
    EncodedSample,
    GroundedObject,
    HealthFinding,
    check_answer,
    check_chat,
    check_grid,
    check_labels,
    check_pixels,
    check_placeholders,
    run_checks,
)

__all__ = [
    "IGNORED",
    "Disagreement",
    "EncodedPrompt",
    "EncodedSample",
    "GroundedObject",
    "HealthFinding",
    "check_answer",
    "check_chat",
    "check_grid",
    "check_labels",
    "check_pixels",
    "check_placeholders",
    "compare_prompts",
    "run_checks",
]
