"""One importer a format."""

from __future__ import annotations

from qvl.conversion.formats.chat import ChatSource
from qvl.conversion.formats.coco import CocoSource
from qvl.conversion.formats.cvat import CvatSource
from qvl.conversion.formats.export import ExportSource
from qvl.conversion.formats.export_taxonomy import ExportTaxonomy
from qvl.conversion.formats.folder import FolderSource
from qvl.conversion.formats.geojson import GeojsonSource
from qvl.conversion.formats.label_studio import LabelStudioSource
from qvl.conversion.formats.labelme import LabelmeSource
from qvl.conversion.formats.lvis import LvisSource
from qvl.conversion.formats.swift import SwiftSource
from qvl.conversion.formats.via import ViaSource
from qvl.conversion.formats.voc import VocSource
from qvl.conversion.formats.yolo import YoloSource

__all__ = [
    "ChatSource",
    "CocoSource",
    "CvatSource",
    "ExportSource",
    "ExportTaxonomy",
    "FolderSource",
    "GeojsonSource",
    "LabelStudioSource",
    "LabelmeSource",
    "LvisSource",
    "SwiftSource",
    "ViaSource",
    "VocSource",
    "YoloSource",
]
