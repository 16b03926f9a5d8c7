"""What an evaluation costs, and how sure an object is: `python tests/benchmarks/evaluate_cost.py [pictures [rounds]]`.

First the parts of `qvl.evaluate` on a file of predictions with 20 boxes each way a picture: reading it against
`json.loads` of its lines, and scores, intervals and comparison against pycocotools' mAP on the same boxes. Then
answers of the built-in model with and without the log-probabilities of their tokens. What is compared alternates in one
process; the figures are ratios of medians.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from metrics_cost import draw, time_reference
from side_by_side import time_cases

from qvl.conversation import build_messages
from qvl.data import DemoScenes
from qvl.evaluation import Settings, align_pictures, evaluate_predictions, read_predictions
from qvl.inference import Engine, load_model
from qvl.models import resolve_model
from qvl.runtime import open_image

GRID = 1000


def medians(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each case."""
    timed = time_cases({name: lambda _, case=case: case() for name, case in cases.items()}, rounds=rounds)
    return {name: statistics.median(values) for name, values in timed.items()}


def write_predictions(path: Path, truth: np.ndarray, predicted: np.ndarray, num_pictures: int) -> Path:
    """Write rows as `qvl.infer` does."""
    sides: list[list[list[dict[str, Any]]]] = [[[] for _ in range(num_pictures)] for _ in range(2)]
    for rows, side in zip((truth, predicted), sides, strict=True):
        for picture, x, y, width, height, score, category in rows.tolist():
            numbers = [x, y, x + width, y + height]
            desc = f"type=c{int(category)},color={int(x) % 5}"
            side[int(picture) - 1].append({"desc": desc, "key": "bbox_2d", "numbers": numbers, "score": score})
    lines = []
    for number, (true, said) in enumerate(zip(*sides, strict=True)):
        head = {"source": f"val.jsonl:{number + 1}", "image": f"/pictures/{number}.jpg", "width": GRID, "height": GRID}
        told = {"faults": [], "completion": json.dumps(said), "finish_reason": "stop", "error": None}
        lines.append(json.dumps({**head, "truth": true, "predicted": said, **told}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    return path


def evaluation(num_pictures: int, rounds: int) -> None:
    truth, predicted = draw(num_pictures)
    settings = Settings(line_tolerance=20.0)
    with tempfile.TemporaryDirectory() as folder:
        path = write_predictions(Path(folder) / "predictions.jsonl", truth, predicted, num_pictures)
        rows = read_predictions(path)
        lines = path.read_text(encoding="utf-8").splitlines()
        seconds = medians(
            {
                "json": lambda: [json.loads(line) for line in lines],
                "read": lambda: read_predictions(path),
                "mAP": lambda: time_reference(truth, predicted, num_pictures),
                "scores": lambda: evaluate_predictions(rows, settings=settings),
                "two runs": lambda: evaluate_predictions(rows, align_pictures(rows, rows), settings=settings),
            },
            rounds,
        )
    sys.stdout.write(f"{num_pictures} pictures x 20: reading {seconds['read'] / seconds['json']:.1f} x json.loads\n")
    for name in ("scores", "two runs"):
        sys.stdout.write(f"{name} with intervals: {seconds[name] / seconds['mAP']:.3f} x pycocotools' mAP\n")


def recording(rounds: int) -> None:
    """Tell what the log-probabilities of tokens cost."""
    path = resolve_model("qvl://tiny", run_folder=Path(), prompts=(), seed=0)
    model, template = load_model(path, trained=None, model_type="qwen3_vl", torch_dtype=None, attn_impl=None)
    limits = {"min_pixels": 4096, "max_pixels": 65536}
    engine = Engine(model, template, pixel_limits=limits, max_new_tokens=400, batch_size=16)
    conversations: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        scenes = DemoScenes(root=folder, style="cabinet", seed=5, splits={"val": 16}).prepare()
        images = [open_image(path) for path in sorted((scenes / "images").iterdir())]
    for image in images:
        messages = build_messages([image], system="", user="List every object.", answer=None, image_label="图片")
        conversations.append({"messages": messages, "images": [image], "objects": {}})

    def without() -> None:
        with mock.patch("qvl.inference.engine.recording", _no_recording):
            list(engine.answers(conversations))

    seconds = medians({"with": lambda: list(engine.answers(conversations)), "without": without}, rounds)
    sys.stdout.write(f"answers with log-probabilities: {seconds['with'] / seconds['without']:.3f} x without\n")


@contextlib.contextmanager
def _no_recording(template: object) -> Any:
    yield mock.Mock(logprobs=lambda answers: [()] * len(answers))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    evaluation(given[0] if given else 5000, given[1] if len(given) > 1 else 3)
    recording(given[1] if len(given) > 1 else 5)
