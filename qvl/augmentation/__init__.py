"""Transforms on pictures and their shapes."""

from qvl.augmentation.compose import Compose
from qvl.augmentation.sample import Sample

__all__ = ["Compose", "Sample"]
