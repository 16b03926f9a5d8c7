"""Errors that qvl raises on bad data and bad configuration.

QvlError
├── ConfigError      a key, a value or a combination in the configuration
├── RecordError      a row of annotations or its picture
├── HealthError      an encoded sample or a model that does not match what was asked
└── CheckpointError  a checkpoint that is incomplete, damaged or of another run
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["PREEMPTED", "CheckpointError", "ConfigError", "HealthError", "QvlError", "RecordError", "listed"]

PREEMPTED = 75
"""Exit code of a run that was asked to stop and did: the same command goes on with it (75 is EX_TEMPFAIL)."""

_MOST = 20


class QvlError(Exception):
    """Base of every error that a user can mend; its text says what, where, what came and what was allowed."""


class ConfigError(QvlError):
    """The configuration is wrong."""


class RecordError(QvlError):
    """An annotation row or its picture is wrong."""


class HealthError(QvlError):
    """What the model would be trained on, or the model itself, is not what was asked for."""


class CheckpointError(QvlError):
    """A checkpoint cannot be trusted."""


def listed(problems: Sequence[str]) -> str:
    """Return a line for each of the first 20 problems; the last one says how many more there are."""
    shown, more = list(problems[:_MOST]), len(problems) - _MOST
    if more > 0:
        shown[-1] = f"{shown[-1]}; and {more} more"
    return "\n".join(shown)
