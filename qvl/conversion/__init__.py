"""Annotations of other tools to rows."""

from __future__ import annotations

from qvl.conversion.annotated import Annotated, Annotation, Refused
from qvl.conversion.console import show
from qvl.conversion.description import DescriptionTemplate
from qvl.conversion.formats import (
    ChatSource,
    CocoSource,
    CvatSource,
    ExportSource,
    ExportTaxonomy,
    FolderSource,
    GeojsonSource,
    LabelmeSource,
    LabelStudioSource,
    LvisSource,
    SwiftSource,
    ViaSource,
    VocSource,
    YoloSource,
)
from qvl.conversion.label_map import LabelMap, read_labels
from qvl.conversion.objects import ObjectSettings
from qvl.conversion.pipeline import ConversionSettings, Converted, convert
from qvl.conversion.report import Report
from qvl.conversion.rows import RowSettings
from qvl.conversion.shapes import ShapeSettings
from qvl.conversion.source import BaseSource
from qvl.conversion.splits import SplitSettings

__all__ = [
    "Annotated",
    "Annotation",
    "BaseSource",
    "ChatSource",
    "CocoSource",
    "ConversionSettings",
    "Converted",
    "CvatSource",
    "DescriptionTemplate",
    "ExportSource",
    "ExportTaxonomy",
    "FolderSource",
    "GeojsonSource",
    "LabelMap",
    "LabelStudioSource",
    "LabelmeSource",
    "LvisSource",
    "ObjectSettings",
    "Refused",
    "Report",
    "RowSettings",
    "ShapeSettings",
    "SplitSettings",
    "SwiftSource",
    "ViaSource",
    "VocSource",
    "YoloSource",
    "convert",
    "read_labels",
    "show",
]
