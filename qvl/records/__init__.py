"""The JSONL contract: rows, their checks and their order."""

from __future__ import annotations

from qvl.records.category import attributes, category
from qvl.records.coordinates import MAX_SIDE, is_number, is_side
from qvl.records.decode import decode_line
from qvl.records.finding import Finding, shorten
from qvl.records.jsonl import JsonlFile
from qvl.records.modes import MODES, record_as, validate_as
from qvl.records.order import ORDER_POLICIES, order_objects
from qvl.records.record import ObjectRecord, Record, Source
from qvl.records.text import (
    SPECIAL_TOKENS,
    clean_text,
    has_line_break,
    has_lone_surrogate,
    special_tokens_in,
)
from qvl.records.validation import image_path, make_record, parse_row, validate_row

__all__ = [
    "MAX_SIDE",
    "MODES",
    "ORDER_POLICIES",
    "SPECIAL_TOKENS",
    "Finding",
    "JsonlFile",
    "ObjectRecord",
    "Record",
    "Source",
    "attributes",
    "category",
    "clean_text",
    "decode_line",
    "has_line_break",
    "has_lone_surrogate",
    "image_path",
    "is_number",
    "is_side",
    "make_record",
    "order_objects",
    "parse_row",
    "record_as",
    "shorten",
    "special_tokens_in",
    "validate_as",
    "validate_row",
]
