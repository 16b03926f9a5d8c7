"""The verb `qvl.visualize` from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
BOX = {"desc": "type=psu,state=ok", "key": "bbox_2d", "numbers": [100, 100, 400, 400]}


def shell(*argv: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-m", "qvl.visualize", *argv]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def predictions(folder: Path, num_rows: int = 3) -> Path:
    Image.new("RGB", (64, 48), (90, 90, 90)).save(folder / "a.png")
    row = {
        "image": str(folder / "a.png"),
        "source": "val.jsonl:1",
        "width": 64,
        "height": 48,
        "truth": [BOX],
        "predicted": [BOX],
        "faults": [],
        "completion": "{}",
        "finish_reason": "stop",
    }
    rows = [row, {**row, "predicted": []}, row][:num_rows]
    path = folder / "predictions_after.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_page_is_written_beside_the_predictions(tmp_path: Path) -> None:
    (tmp_path / "运行 1").mkdir()
    path = predictions(tmp_path / "运行 1")
    done = shell(f"predictions='{path}'", "num_samples=2", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    page = path.with_suffix(".html")
    assert str(page) in done.stdout
    assert "F1 0.800, precision 1.000, recall 0.667 over 3 pictures" in done.stdout
    assert page.read_text(encoding="utf-8").count("<section") == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["运行 1"]  # no folder of Hydra is left behind


def test_another_place_and_the_order_of_the_file(tmp_path: Path) -> None:
    predictions(tmp_path)
    done = shell(
        "predictions=predictions_after.jsonl", "out=page.html", "num_samples=1", "worst_first=false", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "predictions_after.jsonl:1" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "predictions: has no value (predictions_before.jsonl or predictions_after.jsonl of a run folder)"),
        (["predictions=gone.jsonl"], 1, "error: gone.jsonl: there is no such file"),
        (["predictions=bad.jsonl"], 1, "error: bad.jsonl:2: not JSON at character 1"),
        (
            ["predictions=predictions_after.jsonl", "treshold=0.3"],
            2,
            "there is no key treshold; did you mean threshold?",
        ),
        (
            ["predictions=predictions_after.jsonl", "+seed=1"],
            2,
            "there is no key seed; there are: line_tolerance, num_samples",
        ),
        (["predictions=predictions_after.jsonl", "threshold=0"], 2, "threshold: 0.0 is out of range"),
        (["predictions=predictions_after.jsonl", "line_tolerance=0"], 2, "line_tolerance: 0.0 is out of range"),
        (["predictions=predictions_after.jsonl", "num_samples=0"], 2, "num_samples: 0 is out of range"),
        (["predictions=predictions_after.jsonl", "num_samples=few"], 2, "num_samples=few: expected a whole number"),
        (["predictions=predictions_after.jsonl", "out=gone/a.html"], 2, "out: gone/a.html: there is no folder gone"),
        (["predictions=predictions_after.jsonl", "out=folder"], 1, "out: folder cannot be written"),
        (["predictions=predictions_after.jsonl", "out=./predictions_after.jsonl"], 2, "is the file of the predictions"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(
    tmp_path: Path, argv: list[str], code: int, message: str
) -> None:
    content = predictions(tmp_path).read_text(encoding="utf-8")
    (tmp_path / "bad.jsonl").write_text(content.splitlines()[0] + "\nx\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = shell(*argv, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "predictions_after.jsonl").read_text(encoding="utf-8") == content


def test_showing_the_configuration_needs_no_picture_library(tmp_path: Path) -> None:
    done = shell("--cfg", "job", cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "worst_first: true" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "qvl.visualize" in imported or "qvl.schema" in imported
    assert imported.isdisjoint({"torch", "PIL", "PIL.Image", "shapely"})
    assert list(tmp_path.iterdir()) == []
