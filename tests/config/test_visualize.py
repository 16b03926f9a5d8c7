"""The verb `qvl.visualize` from the command line."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from verbs import run_verb

from qvl.command import compose
from qvl.errors import ConfigError, QvlError, RecordError
from qvl.schema import VisualizeConfig, register_schema
from qvl.visualize import main

BOX = {"desc": "type=psu,state=ok", "key": "bbox_2d", "numbers": [100, 100, 400, 400]}

shell = partial(run_verb, "visualize")


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


def test_a_folder_of_pictures_is_written_instead_of_a_page(tmp_path: Path) -> None:
    done = shell(f"predictions={predictions(tmp_path)}", "out=pictures", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"folder   {tmp_path}/pictures (3 files)" in done.stdout
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        "0001_a.png",
        "0002_a.png",
        "0003_a.png",
    ]
    again = shell(f"predictions={predictions(tmp_path)}", "out=pictures", cwd=tmp_path)
    assert again.returncode == 2
    assert "out: pictures is not empty; choose another folder" in again.stderr


def rows(folder: Path) -> list[str]:
    """Write a file of two good rows and a bad one, and return the overrides that name it."""
    Image.new("RGB", (96, 64), (90, 90, 90)).save(folder / "图.png")
    row = {"images": ["图.png"], "width": 96, "height": 64, "objects": [{"desc": "类别=屏", "bbox_2d": [9, 9, 40, 40]}]}
    lines = [row, {**row, "width": 95}, {**row, "objects": [{"desc": "cable", "line": [1, 1, 90, 60]}]}]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return ["data=jsonl", "data.train.path=rows.jsonl", "data.val.path=rows.jsonl"]


@pytest.mark.slow  # imports ms-swift, for the view of the model
def test_rows_are_shown_as_they_are_as_training_augments_them_and_as_the_model_sees_them(
    forked, tmp_path: Path
) -> None:
    done = forked("qvl.visualize", *rows(tmp_path), "draws=2", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 of 3 rows: original, augmented, model" in done.stdout
    page = (tmp_path / "rows_rows.html").read_text(encoding="utf-8")
    headings = [f"<h3>{name}" for name in ("Original", "Epoch 1", "Epoch 2", "Model")]
    assert [page.count(heading) for heading in headings] == [3, 2, 2, 2]
    assert "the row says 95x64" in page
    assert "类别=屏" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "multirun_outputs",
        "rows.jsonl",
        "rows_rows.html",
        "图.png",
    ]
    assert [path.name for path in (tmp_path / "multirun_outputs").glob("*/*")] == ["index"]


def test_rows_are_chosen_by_line_and_shown_without_a_model(tmp_path: Path) -> None:
    done = shell(*rows(tmp_path), "views=[original,augmented]", "split=val", "rows=[3]", "out=a.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 3 rows: original; nothing augments them" in done.stdout
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (page.count("<h3>"), "cable" in page) == (1, True)


@pytest.mark.parametrize(
    ("argv", "error", "message"),
    [
        (["rows=[9]"], ConfigError, "rows: there is no row in use at line 9 of rows.jsonl"),
        (["rows=[0]"], ConfigError, "rows: [0] is out of range"),
        (["views=[orginal]"], ConfigError, "views: orginal: choose from original, augmented, model"),
        (["split=test"], ConfigError, "split: 'test' is not one of train, val"),
        (["draws=0"], ConfigError, "draws: 0 is out of range"),
        (["progress=2"], ConfigError, "progress: 2.0 is out of range"),
        (["out=a.png"], ConfigError, "out: a.png is neither a page, which ends with .html, nor a folder of pictures"),
        (["data.train.path=gone.jsonl"], RecordError, "gone.jsonl"),
    ],
)
def test_a_mistake_about_rows_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], error: type[QvlError], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    register_schema(VisualizeConfig, name="visualize")
    with pytest.raises(error, match=re.escape(message)):
        main(compose([*rows(tmp_path), *argv], config_name="visualize"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["rows.jsonl", "图.png"]


def test_predictions_and_keys_of_rows_do_not_go_together(tmp_path: Path) -> None:
    done = shell(f"predictions={predictions(tmp_path)}", "data=demo", "draws=2", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: predictions: data, draws is about rows; leave it or predictions out" in done.stderr


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
        (["predictions=gone.jsonl"], 1, "error: gone.jsonl: there is no such file"),
        (["predictions=bad.jsonl"], 1, "error: bad.jsonl:2: not JSON at character 1"),
        (
            ["predictions=predictions_after.jsonl", "treshold=0.3"],
            2,
            "there is no key treshold; did you mean threshold?",
        ),
        (
            ["predictions=predictions_after.jsonl", "+epoch=1"],
            2,
            "there is no key epoch; there are:",
        ),
        (["predictions=predictions_after.jsonl", "threshold=0"], 2, "threshold: 0.0 is out of range"),
        (["predictions=predictions_after.jsonl", "line_tolerance=0"], 2, "line_tolerance: 0.0 is out of range"),
        (["predictions=predictions_after.jsonl", "num_samples=0"], 2, "num_samples: 0 is out of range"),
        (["predictions=predictions_after.jsonl", "num_samples=few"], 2, "num_samples=few: expected a whole number"),
        (["predictions=predictions_after.jsonl", "out=gone/a.html"], 2, "out: gone/a.html: there is no folder gone"),
        (["predictions=predictions_after.jsonl", "out=folder.html"], 1, "out: folder.html cannot be written"),
        (["predictions=predictions_after.jsonl", "out=./predictions_after.jsonl"], 2, "is the file of the predictions"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(
    here, tmp_path: Path, argv: list[str], code: int, message: str
) -> None:
    content = predictions(tmp_path).read_text(encoding="utf-8")
    (tmp_path / "bad.jsonl").write_text(content.splitlines()[0] + "\nx\n", encoding="utf-8")
    (tmp_path / "folder.html").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = here("visualize", *argv, cwd=tmp_path)
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
