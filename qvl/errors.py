"""Errors that qvl raises on bad data and bad configuration.

QvlError
├── ConfigError      a key, a value or a combination in the configuration
├── RecordError      a row of annotations or its picture
├── HealthError      an encoded sample or a model that does not match what was asked
└── CheckpointError  a checkpoint that is incomplete, damaged or of another run
"""

from __future__ import annotations

__all__ = ["PREEMPTED", "CheckpointError", "ConfigError", "HealthError", "QvlError", "RecordError"]

PREEMPTED = 75
"""Exit code of a run that was asked to stop and did: the same command goes on with it (75 is EX_TEMPFAIL)."""


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
