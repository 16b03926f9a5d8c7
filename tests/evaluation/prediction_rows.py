"""Rows of predictions files for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BOX = {"desc": "type=screw,color=red", "key": "bbox_2d", "numbers": [100, 100, 300, 300]}
LINE = {"desc": "type=cable", "key": "line", "numbers": [10.5, 500, 900, 520]}


def answered(name: str = "a.png", *, truth: Sequence[Row] = (BOX, LINE), predicted: Sequence[Row] = (BOX,)) -> Row:
    """Return the row of a picture of 200 x 100 pixels."""
    row = {"image": f"/pictures/{name}", "source": "val.jsonl:1", "width": 200, "height": 100}
    row |= {"truth": list(truth), "predicted": list(predicted), "faults": [], "completion": "{}"}
    return {**row, "finish_reason": "stop", "error": None}


def unanswered(name: str = "gone.png", **fields: object) -> Row:
    fault = {"code": "not_answered", "where": "picture", "message": "there is no such file"}
    row = {**answered(name, predicted=()), "width": None, "height": None, "completion": "", "finish_reason": "error"}
    return {**row, "faults": [fault], "error": "there is no such file", **fields}


def summed_up(name: str = "s.png", *, truth: str, said: str) -> Row:
    return {**answered(name), "truth": truth, "predicted": said, "completion": said}


def summary(**counts: int) -> str:
    return json.dumps({"objects": [{"type": kind, "count": count} for kind, count in counts.items()]})


def written(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
