"""TensorBoard event files, those that are still written too."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qvl.sweep.job import Curve, Point
from qvl.sweep.reading import Reader

__all__ = ["read_events"]

_RECORD_FRAME = 16  # bytes around each event: its length and two checksums
_MOST = 1e100


def read_events(files: Sequence[Path], reader: Reader, *, growing: bool) -> tuple[dict[str, Curve], float | None]:
    """Read all scalars of a run.

    A run that was resumed has several files; of a step that was logged twice the later value counts.

    Args:
        files: Event files, oldest first.
        reader: Notes what cannot be read.
        growing: Whether a file may end in the middle of an event, because its job is running.

    Returns:
        Curves by tag, and the seconds from the first to the last event of each file, None if there are no two.
    """
    logged: dict[str, dict[int, float]] = {}
    lost: Counter[str] = Counter()
    seconds = 0.0
    for file in files:
        times: list[float] = []
        for event in _events(file, reader, growing=growing):
            if event.wall_time > 0:
                times.append(event.wall_time)
            for tag, value in _scalars(event):
                if math.isfinite(value) and abs(value) < _MOST:
                    logged.setdefault(tag, {})[event.step] = value
                else:
                    lost[tag] += 1
        seconds += max(times) - min(times) if times else 0.0
    tags = sorted({*logged, *lost})
    curves = {tag: Curve(tuple(map(Point._make, sorted(logged.get(tag, {}).items()))), lost[tag]) for tag in tags}
    return curves, seconds or None


def _events(file: Path, reader: Reader, *, growing: bool) -> Iterator[Any]:
    """Yield the events of a file up to its end, or to where it is damaged."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.backend.event_processing.event_file_loader import (  # type: ignore[import-untyped]
        RawEventFileLoader,
    )
    from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
    from tensorboard.compat.tensorflow_stub.errors import OpError  # type: ignore[import-untyped]

    read = 0
    try:
        size = file.stat().st_size
        for record in RawEventFileLoader(str(file)).Load():
            yield Event.FromString(record)
            read += len(record) + _RECORD_FRAME
    except DecodeError:
        reader.note(file, f"holds something that is no event after byte {read}; what comes before it is used")
        return
    except OpError as error:
        reader.note(file, f"cannot be read: {error.message}")
        return
    except OSError as error:
        reader.note(file, f"cannot be read: {error.strerror}")
        return
    if read < size and not growing:
        reader.note(file, f"is cut off or damaged after byte {read} of {size}; what comes before it is used")


def _scalars(event: Any) -> Iterator[tuple[str, float]]:
    for value in event.summary.value:
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            yield value.tag, value.simple_value
        elif kind == "tensor" and not value.tensor.tensor_shape.dim:
            for number in (*value.tensor.float_val, *value.tensor.double_val):
                yield value.tag, number
