"""The verb `qvl.validate` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from verbs import run_verb

ROW = {"images": ["a.png"], "width": 64, "height": 48, "objects": [{"desc": "type=x", "bbox_2d": [1, 2, 30, 40]}]}
REVERSED = {**ROW, "images": ["b.png"], "objects": [{"desc": "类别=螺丝", "bbox_2d": [30, 2, 1, 40]}]}
ONE = ("data=jsonl", "data.train.path=rows.jsonl", "data.val=null", "out=out")

shell = partial(run_verb, "validate")


def write(folder: Path, *rows: object, name: str = "rows.jsonl") -> None:
    for picture in ("a.png", "b.png"):
        Image.new("RGB", (64, 48), (90, 90, 90)).save(folder / picture)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def report(folder: Path) -> dict[str, object]:
    return json.loads((folder / "out" / "report.json").read_text(encoding="utf-8"))


def test_good_data_leave_a_report_and_end_with_0(forked, tmp_path: Path) -> None:
    write(tmp_path, ROW)
    write(tmp_path, {**ROW, "images": ["b.png"]}, name="val.jsonl")
    argv = ("data=jsonl", "data.train.path=rows.jsonl", "data.val.path=val.jsonl", "out=out")
    done = forked("qvl.validate", *argv, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was found" in done.stdout
    told = report(tmp_path)
    assert [file["usable"] for file in told["files"]] == [1, 1]  # type: ignore[attr-defined]
    assert told["statistics"]["tokens"]["count"] == 2  # type: ignore[index]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "findings.jsonl", "report.html", "report.json",
    ]  # fmt: skip


def test_a_fatal_finding_ends_with_1_and_a_fix_with_0(tmp_path: Path) -> None:
    write(tmp_path, ROW, REVERSED)
    done = shell(*ONE, "lengths=false", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: training would refuse these data: 1 of 2 rows cannot be used\n"
    assert "bbox_unordered" in done.stdout
    fixed = shell(*ONE, "lengths=false", "fix=fixed.jsonl", cwd=tmp_path)
    assert (fixed.returncode, fixed.stderr) == (0, "")
    assert "1 box_reversed" in fixed.stdout
    lines = [json.loads(line) for line in (tmp_path / "fixed.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == [ROW, {**REVERSED, "objects": [{"desc": "类别=螺丝", "bbox_2d": [1, 2, 30, 40]}]}]


def test_a_file_that_is_used_twice_is_looked_at_once(tmp_path: Path) -> None:
    splits = "data.prepare.splits={train: 3, val: 2}"
    done = shell("data=pretrain_pairs", splits, "out=out", "lengths=false", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [file["rows"] for file in report(tmp_path)["files"]] == [3, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["images=glance"], "images: 'glance' is not one of decode, header, off"),
        (["data.train.path=gone.jsonl"], "data.train.path: there is no file gone.jsonl"),
        (["fix=rows.jsonl"], "rows.jsonl is there already"),
        (["fix=other/rows.jsonl"], "has to lie beside rows.jsonl"),
        (["drop_rest=true"], "set fix=NAME.jsonl too"),
        (["fix=new.jsonl", "data.train.limit=1"], "leave `limit` away"),
        (["twins=0.1"], "twins: 0.1 is out of range"),
        (["worst=3"], "there is no key worst; did you mean num_worst?"),
        (["model.path=./gone", "lengths=true"], "model.path: there is no folder ./gone"),
    ],
)
def test_a_mistake_ends_with_2_and_nothing_is_written(here, tmp_path: Path, argv: list[str], message: str) -> None:
    write(tmp_path, ROW, REVERSED)
    before = sorted(tmp_path.iterdir())
    done = here("validate", *ONE, "lengths=false", *argv, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    left = [path for path in sorted(tmp_path.iterdir()) if path.name != "multirun_outputs"]  # the index of the rows
    assert left == before


def test_showing_the_configuration_needs_no_heavy_library(tmp_path: Path) -> None:
    done = shell("--cfg", "job", PYTHONPROFILEIMPORTTIME="1", cwd=tmp_path)
    assert done.returncode == 0
    assert "num_worst: 24" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "PIL", "PIL.Image", "shapely", "transformers"})
