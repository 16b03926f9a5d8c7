"""Checkpoints: the shipped tiny model, which one to load, and whole saves."""

from qvl.models.resolve import find_resume, names_own, resolve_model
from qvl.models.tiny import create_tiny_checkpoint

__all__ = ["create_tiny_checkpoint", "find_resume", "names_own", "resolve_model"]
