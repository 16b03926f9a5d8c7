"""Transforms on pictures and their shapes."""

from qvl.augmentation.canvas import ExpandToFit, ResizeByScale
from qvl.augmentation.color import (
    AutoContrast,
    Blur,
    Clahe,
    ColorJitter,
    Gamma,
    Hsv,
    JpegCompression,
    Noise,
    Sharpness,
)
from qvl.augmentation.compose import Compose
from qvl.augmentation.crop import RoiCrop
from qvl.augmentation.geometric import HorizontalFlip, Perspective, Rotate, Scale, Shear, Translate, VerticalFlip
from qvl.augmentation.rendering import render
from qvl.augmentation.sample import Sample

__all__ = [
    "AutoContrast",
    "Blur",
    "Clahe",
    "ColorJitter",
    "Compose",
    "ExpandToFit",
    "Gamma",
    "HorizontalFlip",
    "Hsv",
    "JpegCompression",
    "Noise",
    "Perspective",
    "ResizeByScale",
    "RoiCrop",
    "Rotate",
    "Sample",
    "Scale",
    "Sharpness",
    "Shear",
    "Translate",
    "VerticalFlip",
    "render",
]
