"""Annotations of other tools to rows."""

from __future__ import annotations

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.source import BaseSource

__all__ = ["Annotated", "Annotation", "BaseSource", "Refused"]
