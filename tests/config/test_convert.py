"""The verb `qvl.convert` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from verbs import run_verb

from qvl.command import compose
from qvl.convert import main
from qvl.errors import ConfigError, QvlError
from qvl.schema import ConfigFiles, ConvertConfig, config_dir, register_schema

SOURCES = ConfigFiles(config_dir(), root="convert").choices("source")

shell = partial(run_verb, "convert")


@pytest.fixture(autouse=True)
def _schema() -> None:
    register_schema(ConvertConfig, name="convert")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A COCO file with two pictures, one of which is missing, and three annotations, one without an area."""
    Image.new("RGB", (64, 48), (90, 90, 90)).save(tmp_path / "a b.png")
    boxes = [(1, [1, 2, 30, 40]), (1, [60, 2, 30, 40]), (1, [5, 5, 0, 9]), (2, [1, 1, 9, 9])]
    content = {
        "images": [{"id": 1, "file_name": "a b.png", "width": 64, "height": 48}, {"id": 2, "file_name": "gone.png"}],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 1, "bbox": box}
            for number, (image, box) in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "traffic light", "supercategory": "street"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*overrides: str) -> None:
    main(compose(["source=coco", "source.path=coco.json", *overrides], config_name="convert"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_command_writes_rows_and_says_what_became_of_everything(folder: Path) -> None:
    done = shell("source=coco", "source.path=coco.json", "out=mine", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in folder.iterdir()) == ["a b.png", "coco.json", "mine"]
    (row,) = rows(folder / "mine/train.jsonl")
    assert row["objects"] == [
        {"desc": "traffic light", "bbox_2d": [1, 2, 31, 42]},
        {"desc": "traffic light", "bbox_2d": [60, 2, 64, 42]},
    ]
    words = " ".join(done.stdout.split())
    assert "│ pictures │ 2 │ 1 │" in words
    assert "│ objects │ 4 │ 2 │ 0 │ 2 │" in words
    assert all(code in words for code in ("no_picture", "degenerate", "clipped"))
    assert str(folder / "mine/train.jsonl") in done.stdout
    assert str(folder / "mine/rejected.jsonl") in done.stdout


def test_descriptions_labels_and_shapes_are_chosen_on_the_command_line(folder: Path) -> None:
    labels = "labels={traffic light: big lamp}"
    run("out=mine", "desc='type={category},in={supercategory}'", labels, "canonical=true", "tiny.train=0")
    (row,) = rows(folder / "mine/train.jsonl")
    assert row["objects"][0]["desc"] == "type=big lamp,in=street"
    assert not (folder / "mine/train_tiny.jsonl").exists()
    run("out=other", "labels.lamp=x", "summary={_target_: qvl.conversation.SummaryWriter}", "pictures=reference")
    (row,) = rows(folder / "other/train.jsonl")
    assert row["images"] == [str(folder / "a b.png")]
    assert "traffic light" in row["summary"]


def test_words_may_come_from_a_file_or_from_the_labels_of_an_earlier_result(folder: Path) -> None:
    (folder / "words.json").write_text('{"traffic light": "红绿灯", "tree": null}', encoding="utf-8")
    run("out=mine", "labels=words.json")
    assert {item["desc"] for item in rows(folder / "mine/train.jsonl")[0]["objects"]} == {"红绿灯"}
    run("out=again", "labels=mine/labels.json")
    assert (folder / "again/train.jsonl").read_bytes() == (folder / "mine/train.jsonl").read_bytes()
    (folder / "words.json").write_text('{"traffic light": 7}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"labels: words\.json: traffic light: expected a word or null, got 7"):
        run("out=bad", "labels=words.json")


def test_what_the_user_should_know_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("out=mine", "drop=[tree]", "pictures=reference")
    said = capsys.readouterr().out
    assert "labels and drop name what no object is: tree" in said
    assert f"data.allowed_roots=[{folder}]" in said


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["out=mine", "exif=left"], "exif: 'left' is not one of auto, upright, raw"),
        (["out=mine", "multi_part=boxes"], "did you mean box?"),
        (["out=mine", "near_duplicates=9"], "near_duplicates: 9 is out of range"),
        (["out=mine", "splt.val=0.1"], "there is no key splt.val; did you mean split.val?"),
        (["out=mine", "source.imags=x"], "there is no key source.imags; did you mean source.images?"),
        (["out=mine", "split.val=0.6", "split.test=0.6"], "together less than 1"),
        (["out=mine", "split.by='('", "split.val=0.1"], "split.by: not a regular expression"),
        (["out=mine", "desc='{categry}'"], "desc: there is no field {categry}; there are: {category}"),
        (["out=mine", "resize.max_pixels=9"], "resize.max_pixels must be at least"),
        (["out=mine", "source.tolerance=-1"], "tolerance must be at least 0"),
        (["out=mine", "labels=gone.json"], "labels: gone.json: No such file or directory"),
        (["out=mine", "labels=coco.json"], "labels: coco.json: images: expected a word or null"),
        (["out=gone/mine"], "out: gone/mine: there is no folder gone"),
        (["out=."], "holds the source itself"),
        ([], "out: has no value"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(folder: Path, overrides: list[str], message: str) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigError) as caught:
        run(*overrides)
    assert message in str(caught.value)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["source.path=gone.json"], "source.path: there is no file or folder gone.json"),
        (["source.images=gone"], "source.images: there is no folder gone"),
        (["source.path='a b.png'"], "none of the 1 pictures can be used\nbad_utf8 (1), such as a b.png: byte"),
    ],
)
def test_a_source_that_cannot_be_read_is_told(folder: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(QvlError) as caught:
        run("out=mine", *overrides)
    assert message in str(caught.value)
    assert sorted(path.name for path in folder.iterdir()) == ["a b.png", "coco.json"]


def test_a_command_without_a_word_lists_the_formats(tmp_path: Path) -> None:
    done = shell(cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 2
    assert f"source: nothing is chosen; add source=NAME, one of: {', '.join(SOURCES)}" in done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "qvl.schema" in imported
    assert imported.isdisjoint({"torch", "PIL", "PIL.Image", "shapely", "cv2"})


def test_there_are_formats() -> None:
    assert {"coco", "lvis"} <= set(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_every_format_composes_and_asks_for_its_path(source: str) -> None:
    with pytest.raises(ConfigError, match=r"source\.path: has no value"):
        compose([f"source={source}", "out=x"], config_name="convert")
    cfg = compose([f"source={source}", "source.path=x", "out=x"], config_name="convert")
    assert cfg.source._target_.startswith("qvl.conversion.")
