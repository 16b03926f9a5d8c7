"""What the benchmarks of pictures share: textured pictures, annotated rows, cases timed in turns."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 1920, 1080
_TEXTURE = {240: 30, 60: 18, 20: 10, 8: 7, 4: 6, 2: 4, 1: 4}  # size of a blob in pixels -> contrast in grey levels
_LABELS = ("device/cabinet door", "screw/terminal block", "cable/fibre pigtail", "label/rack unit")


def photo(seed: int) -> np.ndarray:
    """Return (1080, 1920, 3) uint8: noise of all scales, about 2 bits a pixel as a JPEG of quality 90."""
    rng = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    for side, contrast in _TEXTURE.items():
        color = rng.normal(size=(-(-HEIGHT // side), -(-WIDTH // side), 3)).astype(np.float32)
        blobs = 0.3 * color + 1.4 * color.mean(axis=2, keepdims=True)  # photos vary more in brightness than in colour
        picture += contrast * cv2.resize(blobs, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def annotations(seed: int) -> list[dict[str, object]]:
    """Return 20 objects with 96 points: 10 boxes, 6 polygons of 6 vertices, 4 lines of 5 points."""
    rng = np.random.default_rng(seed)
    keys = ["bbox_2d"] * 10 + ["poly"] * 6 + ["line"] * 4
    return [{"desc": _LABELS[number % 4], key: _shape(key, rng)} for number, key in enumerate(keys)]


def _shape(key: str, rng: np.random.Generator) -> list[int]:
    width, height = rng.integers(60, 400, 2)
    left, top = rng.integers(0, WIDTH - width), rng.integers(0, HEIGHT - height)
    if key == "bbox_2d":
        return [int(number) for number in (left, top, left + width, top + height)]
    if key == "line":
        points = np.stack([left + np.linspace(0, width, 5), top + rng.integers(0, height, 5)], axis=1)
    else:
        angles = np.linspace(0, 2 * np.pi, 6, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        points = np.array([left, top]) + np.array([width, height]) * (circle + 1) / 2
    return [int(number) for number in points.round().ravel()]


def write_rows(folder: Path, count: int) -> Path:
    """Write annotated JPEGs of quality 90 and their JSONL file; return its path."""
    rows = []
    for number in range(count):
        Image.fromarray(photo(number)).save(folder / f"{number}.jpg", quality=90)
        objects = annotations(number)
        rows.append({"images": [f"{number}.jpg"], "objects": objects, "width": WIDTH, "height": HEIGHT})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def time_cases(cases: Mapping[str, Callable[[int], object]], *, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of every case in every round.

    Args:
        cases: Name to what is timed, called with the number of the round.
        rounds: How often each is timed; one more goes before and is not counted. The order changes each round.
    """
    order, draw = list(cases), random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-1, rounds):
        draw.shuffle(order)
        for name in order:
            start = time.process_time()
            cases[name](max(number, 0))
            if number >= 0:
                seconds[name].append(time.process_time() - start)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], case: str, to: str) -> float:
    """Return the median over the rounds of one case's time to another's in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[case], seconds[to], strict=True))


def table(seconds: Mapping[str, Sequence[float]], *, to: Sequence[str]) -> str:
    """Return a Markdown table: a line a case, its median and its ratios to some of the cases."""
    lines = [f"| case | ms | {' | '.join(f'x {name}' for name in to)} |", "|---|---:|" + "---:|" * len(to)]
    for name, values in seconds.items():
        ratios = " | ".join(f"{ratio(seconds, name, other):.3f}" for other in to)
        lines.append(f"| {name} | {statistics.median(values) * 1000:.2f} | {ratios} |")
    return "\n".join(lines) + "\n"


def save(path: Path, seconds: Mapping[str, Sequence[float]], facts: Mapping[str, object]) -> None:
    """Write facts and all times, in seconds, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**facts, "seconds": seconds}, indent=1) + "\n")
