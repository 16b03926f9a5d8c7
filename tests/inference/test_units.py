from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from qvl.errors import RecordError
from qvl.inference import find_units

LABELS = {"审核不通过": "fail", "审核通过": "pass"}


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_pictures_of_a_folder_come_in_the_order_of_their_numbers_and_other_files_do_not(tmp_path: Path) -> None:
    touch(tmp_path, "p10.jpg", "p2.JPG", "notes.txt", ".hidden.png", "deep/er/p1.webp", ".git/x.png")
    units = find_units(tmp_path, labels=LABELS)
    assert [unit.source for unit in units] == ["p2.JPG", "p10.jpg", "deep/er/p1.webp"]
    assert units[0].pictures == (str(tmp_path / "p2.JPG"),)
    assert not units[0].grouped


def test_a_tree_of_missions_is_read_as_groups_label_by_label(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "m/审核通过/g1/1.jpg", "m/审核通过/g10/1.jpg", "m/审核通过/g2/2.png", "m/审核通过/g2/10.png")
    touch(tmp_path, "m/审核不通过/g1/1.jpg", "m/unsure/g1/1.jpg", "other/readme.txt")
    (tmp_path / "m/审核通过/empty").mkdir()
    with caplog.at_level(logging.WARNING):
        units = find_units(tmp_path, labels=LABELS)
    told = [(unit.labels["mission"], unit.labels["label"], unit.labels["group_id"]) for unit in units]
    assert told == [("m", "fail", "g1"), ("m", "pass", "g1"), ("m", "pass", "g2"), ("m", "pass", "g10")]
    assert [Path(path).name for path in units[2].pictures] == ["2.png", "10.png"]
    assert all(unit.grouped for unit in units)
    assert "unsure" in caplog.text
    assert "empty" in caplog.text


def test_pictures_beside_the_groups_of_a_tree_are_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(
        tmp_path,
        "m/审核通过/g1/1.jpg",
        "m/审核通过/loose.jpg",
        "m/审核通过/g1/deeper/2.jpg",
        "cover.png",
        "m/notes.txt",
    )
    with caplog.at_level(logging.WARNING):
        units = find_units(tmp_path, labels=LABELS)
    assert [unit.source for unit in units] == ["m/审核通过/g1"]
    assert "3 pictures lie in no <mission>/<label>/<group>/ and were passed over, such as cover.png" in caplog.text


def test_rows_name_pictures_and_keep_what_is_annotated(tmp_path: Path) -> None:
    annotated = {"images": ["a.png"], "width": 8, "height": 4, "objects": [{"desc": "x", "bbox_2d": [0, 0, 2, 2]}]}
    path = write_rows(tmp_path / "rows.jsonl", annotated, {"images": ["b.png", "c.png"]}, {"images": ["d.png"]})
    first, second, third = find_units(path, labels=LABELS)
    assert first.truth is not None
    assert (first.source, first.grouped) == (f"{path}:1", False)
    assert (len(second.pictures), second.grouped, second.truth) == (2, True, None)
    assert third.pictures == (str(tmp_path / "d.png"),)


def test_all_rows_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    bad = {"images": ["a.png"], "width": 8, "height": 4, "objects": [{"desc": "x", "bbox_2d": [5, 0, 2, 2]}]}
    path = write_rows(tmp_path / "rows.jsonl", {"images": []}, ["a.png"], {"images": ["a.png"]}, bad, {"images": [1]})
    with path.open("a", encoding="utf-8") as file:
        file.write("{not JSON\n")
    with pytest.raises(RecordError) as caught:
        find_units(path, labels=LABELS)
    lines = str(caught.value).splitlines()
    assert [line.split("rows.jsonl:")[1].split(":")[0] for line in lines] == ["1", "2", "4", "5", "6"]
    assert "bbox_unordered" in lines[2]


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_nothing_to_ask_about_is_an_error(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "empty/notes.txt")
    with pytest.raises(RecordError, match=name):
        find_units(tmp_path / name, labels=LABELS)
