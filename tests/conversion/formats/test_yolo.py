"""YOLO as its importer reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.yolo import YoloSource, _read_line
from qvl.errors import RecordError

NAMES = "names: [cat, dog]\n"


def yolo(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files; pictures are empty, since none is opened."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def labelled(folder: Path, line: str, description: str = NAMES) -> Path:
    return yolo(folder, {"data.yaml": description, "images/a.jpg": "", "labels/a.txt": line})


def read(path: Path, **settings: object) -> list[Annotated | Refused]:
    return [*YoloSource(path=str(path), **settings).read()]  # type: ignore[arg-type]


def pictures(rows: Sequence[Annotated | Refused]) -> list[Annotated]:
    return [row for row in rows if isinstance(row, Annotated)]


def refusals(rows: Sequence[Annotated | Refused]) -> list[tuple[str, str]]:
    return [(row.code, row.where) for row in rows if isinstance(row, Refused)]


@pytest.mark.parametrize(
    ("line", "kind", "numbers"),
    [
        ("1 0.5 0.25 0.5 0.5", "bbox_2d", (0.25, 0.0, 0.75, 0.5)),
        ("1.0 0.5 0.25 0.5 0.5", "bbox_2d", (0.25, 0.0, 0.75, 0.5)),
        ("1 0.1 0.2 0.3 0.4 0.5 0.0", "poly", (0.1, 0.2, 0.3, 0.4, 0.5, 0.0)),
        ("1 0 0 1 0 1 1 0 1", "poly", (0, 0, 1, 0, 1, 1, 0, 1)),  # a turned box, or an outline of four points
    ],
)
def test_the_count_of_numbers_tells_the_shape(tmp_path, line, kind, numbers):
    (row,) = pictures(read(labelled(tmp_path, line)))
    assert (row.objects[0].label, row.objects[0].kind, row.objects[0].parts) == ("dog", kind, (numbers,))
    assert (row.unit, row.image, row.where) == ("share", "images/a.jpg", "labels/a.txt")
    assert row.objects[0].where == "labels/a.txt:1"


@given(st.tuples(*[st.floats(0, 1)] * 4))
def test_a_box_keeps_its_centre_and_its_sides(numbers):
    found = _read_line(["0", *map(str, numbers)], "", "auto", {0: "cat"})
    assert not isinstance(found, Refused)
    ((x1, y1, x2, y2),) = found.parts
    assert ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1) == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("task", "line", "code"),
    [
        ("detect", "0 0 0 1 0 1 1 0 1", "bad_count"),
        ("segment", "0 0.5 0.5 0.5 0.5", "bad_count"),
        ("obb", "0 0.1 0.2 0.3 0.4 0.5 0.0", "bad_count"),
        ("auto", "0 0.5 0.5 0.5 0.5 0.9", "bad_count"),  # with a confidence: an answer of a model, no annotation
        ("auto", "0", "bad_count"),
        ("auto", "0 0.5 0.5 0.5", "bad_count"),
        ("auto", "0 0.5 0.5 -0.5 0.5", "negative_size"),
        ("auto", "2 0.5 0.5 0.5 0.5", "unknown_class"),
        ("auto", "-1 0.5 0.5 0.5 0.5", "unknown_class"),
        ("auto", "0.5 0.5 0.5 0.5 0.5", "unknown_class"),
        ("auto", "nan 0.5 0.5 0.5 0.5", "unknown_class"),
        ("auto", "cat 0.5 0.5 0.5 0.5", "not_a_number"),
        ("auto", "0,0.5,0.5,0.5,0.5", "not_a_number"),
    ],
)
def test_a_line_that_does_not_fit_is_refused_and_the_others_stay(tmp_path, task, line, code):
    (row,) = pictures(read(labelled(tmp_path, f"\n{line}\n0 0.1 0.1 0.1 0.1\n"), task=task))
    assert (refusals(row.refused)[0]) == (code, "labels/a.txt:2")
    assert len(row.objects) + len(row.refused) == 2


def test_a_line_that_stands_twice_is_one_object(tmp_path):
    (row,) = pictures(read(labelled(tmp_path, "0 0.5 0.5 0.5 0.5\n0  0.5 0.5 0.5 0.5 \n")))
    assert (len(row.objects), refusals(row.refused)) == (1, [("line_twice", "labels/a.txt:2")])


def test_keypoints_after_a_box_are_left_out_and_counted(tmp_path):
    line = "0 0.5 0.5 0.5 0.5 0.1 0.2 0.3 0.4"  # without kpt_shape this would be an outline of four points
    (row,) = pictures(read(labelled(tmp_path, line, NAMES + "kpt_shape: [2, 2]\n")))
    assert (row.objects[0].kind, row.repairs) == ("bbox_2d", ("keypoints_ignored",))


def test_the_splits_of_the_description_are_read_in_order(tmp_path):
    description = (
        "path: /somewhere/else\ntrain: images/train\nval: [images/val, more]\ntest:\nnames: {0: cat, 1: dog}\n"
    )
    folder = yolo(
        tmp_path,
        {"coco.yaml": description}
        | {f"images/{name}": "" for name in ("train/b.jpg", "train/a.png", "val/猫 1.jpg")}
        | {
            "labels/train/a.txt": "0 0.5 0.5 1 1",
            "labels/val/猫 1.txt": "",
            "more/c.JPG": "",
            "more/c.txt": "1 0 0 1 1",
        },
    )
    rows = pictures(read(folder))
    assert [(row.image, row.split, len(row.objects)) for row in rows] == [
        ("images/train/a.png", "train", 1),
        ("images/train/b.jpg", "train", 0),
        ("images/val/猫 1.jpg", "val", 0),
        ("more/c.JPG", "val", 1),
    ]
    assert rows[1].where == "images/train/b.jpg (no label file)"
    assert read(folder / "coco.yaml") == read(folder)


def test_a_path_that_leads_one_folder_too_far_up_is_read_as_it_is_meant(tmp_path):
    files = {"data.yaml": "train: ../train/images\nval: ../valid/images\n" + NAMES, "train/labels/a.txt": "0 .5 .5 1 1"}
    rows = read(yolo(tmp_path / "set", files | {"train/images/a.jpg": ""}))
    assert [(row.image, len(row.objects)) for row in pictures(rows)] == [("train/images/a.jpg", 1)]
    ((code, where),) = refusals(rows)  # the folder of the other split is missing
    assert code == "file_unreadable"
    assert where.endswith("valid/images")


def test_a_list_of_pictures_says_the_split(tmp_path):
    files = {
        "data.yaml": "train: train.txt\n" + NAMES,
        "train.txt": "images/a.jpg\n./images/gone.jpg\ndata/images/b.jpg\n\n",
        "images/a.jpg": "",
        "images/b.jpg": "",
        "images/unlisted.jpg": "",
        "labels/a.txt": "0 0.5 0.5 1 1",
        "labels/unlisted.txt": "0 0.5 0.5 1 1",
    }
    rows = read(yolo(tmp_path, files))
    assert [row.image for row in pictures(rows)] == ["images/a.jpg", "images/gone.jpg", "images/b.jpg"]
    assert refusals(rows) == []


def test_a_picture_in_two_splits_is_read_once(tmp_path):
    files = {"data.yaml": "train: images\nval: images\n" + NAMES, "images/a.jpg": "", "labels/a.txt": "0 .5 .5 1 1"}
    rows = read(yolo(tmp_path, files))
    assert [row.split for row in pictures(rows)] == ["train"]
    assert refusals(rows) == [("picture_twice", "images/a.jpg")]


def test_a_label_file_without_a_picture_is_refused(tmp_path):
    folder = labelled(tmp_path, "0 0.5 0.5 1 1")
    yolo(folder, {"labels/gone.txt": "0 0.5 0.5 1 1", "labels/classes.txt": "cat\n", "labels/README.txt": "hello"})
    yolo(folder, {"labels/more/a.txt": "0 0.5 0.5 1 1", "notes.txt": "hello"})
    gone = [("label_without_picture", f"labels/{name}.txt") for name in ("gone", "more/a")]
    assert refusals(read(folder)) == gone


def test_without_a_description_names_and_splits_come_from_files_and_folders(tmp_path):
    files = {"classes.txt": "cat\ndog\n", "val/a.jpg": "", "val/a.txt": "1 0.5 0.5 1 1", "b.jpg": "", "b.txt": ""}
    rows = pictures(read(yolo(tmp_path, files)))
    assert [(row.image, row.split) for row in rows] == [("b.jpg", None), ("val/a.jpg", "val")]
    assert rows[1].objects[0].label == "dog"
    assert pictures(read(tmp_path, names=["Katze", "Hund"]))[1].objects[0].label == "Hund"


def test_labels_and_pictures_may_lie_in_two_places(tmp_path):
    yolo(tmp_path, {"txt/a/1.txt": "0 0.5 0.5 1 1", "pictures/a/1.jpg": "", "pictures/b/1.jpg": ""})
    rows = pictures(read(tmp_path / "txt", images=str(tmp_path / "pictures"), names=["cat"]))
    assert [(row.image, len(row.objects)) for row in rows] == [("a/1.jpg", 1), ("b/1.jpg", 0)]


def test_a_description_beside_its_labels_may_have_its_pictures_elsewhere(tmp_path):
    files = {
        "yolo/data.yaml": NAMES,
        "yolo/labels/a.txt": "1 0.5 0.5 0.5 0.5",
        "yolo/labels/b.txt": "",
        "pictures/a.jpg": "",
    }
    rows = read(yolo(tmp_path, files) / "yolo/data.yaml", images=str(tmp_path / "pictures"))
    assert [(row.image, len(row.objects)) for row in pictures(rows)] == [("a.jpg", 1)]
    assert [code for code, _ in refusals(rows)] == ["label_without_picture"]


def test_the_folder_that_an_archive_was_made_of_is_found(tmp_path):
    labelled(tmp_path / "my set", "0 0.5 0.5 1 1")
    assert [row.image for row in pictures(read(tmp_path))] == ["my set/images/a.jpg"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"images/a.jpg": ""}, "nobody says the names"),
        ({"data.yaml": NAMES}, "no picture lies in"),
        ({"data.yaml": "names: [a, {b: c}]"}, "must be a list of names"),
        ({"data.yaml": "names: {a: b}"}, "must be a list of names"),
        ({"data.yaml": "- a"}, "is a mapping"),
        ({"data.yaml": "a: [b"}, "not YAML"),
        ({"a.yaml": NAMES, "b.yaml": NAMES}, "holds 2 YAML files"),
    ],
)
def test_a_data_set_that_cannot_be_understood_is_an_error(tmp_path, files, message):
    with pytest.raises(RecordError, match=message):
        read(yolo(tmp_path, files))


def test_names_are_taken_as_they_are_written(tmp_path):
    folder = labelled(tmp_path, "0 .5 .5 1 1\n1 .5 .5 1 1\n2 .5 .5 1 1", "names: [no, 1e5, 猫]\ntest: null\n")
    (row,) = pictures(read(folder))
    assert [found.label for found in row.objects] == ["no", "1e5", "猫"]


def test_what_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="there is no file or folder"):
        read(tmp_path / "gone")
    with pytest.raises(ValueError, match="task must be one of"):
        YoloSource(path=".", task="classify")  # type: ignore[arg-type]


def test_a_label_file_that_is_no_text_refuses_its_row(tmp_path):
    folder = labelled(tmp_path, "")
    (folder / "labels/a.txt").write_bytes(b"\xff\xfe0")
    assert refusals(read(folder)) == [("bad_utf8", "labels/a.txt")]
