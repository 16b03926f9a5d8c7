"""What shows that a JPEG file is whole; decoders fill what is missing with grey and say nothing."""

from __future__ import annotations

import re

import numpy as np

__all__ = ["coded_ends", "with_padding"]

_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_HERE = re.compile(rb"\xff+[^\x00\xff]")
_FILL = 0xFF
_END_OF_IMAGE = 0xD9
_START_OF_SCAN = 0xDA
_RESTARTS = range(0xD0, 0xD8)
_ALONE = {0x01, 0xD8, *_RESTARTS}  # markers without a segment
_BETWEEN_SCANS = {0xC4, 0xDB, 0xDC, 0xDD, 0xFE, _START_OF_SCAN, *range(0xE0, 0xF0)}
_PADDING = bytes((91 + 167 * number) % 255 for number in range(64))  # no 0xFF among them: no marker


def coded_ends(data: bytes) -> list[int] | None:
    """Follow the markers of a JPEG file from its start to its end-of-image marker.

    Args:
        data: The file; what follows the end-of-image marker is not looked at.

    Returns:
        Where each stretch of entropy-coded bytes ends, at a restart marker or at the marker behind a scan; None if a
        marker stands where none can be, or the end-of-image marker is missing: the file was cut off or damaged.
    """
    ends: list[int] = []
    at = 0
    while marker := (_MARKER_HERE.match(data, at) if ends else _MARKER.search(data, at)):
        code, at = data[marker.end() - 1], marker.end()
        if code == _END_OF_IMAGE:
            return ends
        if ends and code not in _BETWEEN_SCANS:
            return None
        if code in _ALONE:
            continue
        at += int.from_bytes(data[at : at + 2], "big")
        if code == _START_OF_SCAN:
            ends += _ends_of_scan(data, at)
            at = ends[-1]
    return None


def _ends_of_scan(data: bytes, start: int) -> list[int]:
    content = np.frombuffer(data, dtype=np.uint8)
    places = np.flatnonzero(content[start:-1] == _FILL) + start
    codes = content[places + 1]
    ends = []
    for end in places[(codes != 0) & (codes != _FILL)].tolist():
        code = data[end + 1]
        while data[end - 1] == _FILL:
            end -= 1
        ends.append(end)
        if code not in _RESTARTS:
            return ends
    return [*ends, len(data)]


def with_padding(data: bytes, ends: list[int]) -> bytes:
    """Put bytes that mean something behind each stretch of entropy-coded bytes.

    A decoder that has found all blocks never looks at them. If the stretch is too short, it decodes them instead of
    what is missing, and the picture comes out otherwise than without them.

    Args:
        data: The file.
        ends: What `coded_ends` says of it.
    """
    starts = [0, *ends]
    return _PADDING.join(data[start:end] for start, end in zip(starts, [*ends, len(data)], strict=True))
