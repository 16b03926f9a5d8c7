from __future__ import annotations

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from qvl.data import BasePreprocessor, KeepAll, WholePictures, whole_pictures
from qvl.data.rows import CheckedRows
from qvl.runtime.kept import one_at_a_time


def good_row(**changes: object) -> dict[str, object]:
    return {"images": ["a.png"], "objects": [{"desc": "x", "bbox_2d": [1, 2, 3, 4]}], "width": 9, "height": 9} | changes


def picture(folder: Path) -> None:
    Image.new("RGB", (9, 9)).save(folder / "a.png")


def rows(folder: Path, *lines: object, name: str = "rows.jsonl", **options: object) -> CheckedRows:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / name).write_text(text + "\n")
    return CheckedRows(str(folder / name), preprocessor=KeepAll(), **options)  # type: ignore[arg-type]


def check(folder: Path, *lines: object, **options: object) -> list[tuple[int, str, str]]:
    return [(finding.where.line, finding.code, finding.field) for finding in rows(folder, *lines, **options).check()]


def test_nothing_is_found_in_a_good_file(tmp_path):
    picture(tmp_path)
    assert check(tmp_path, good_row(), "", good_row(images=[str(tmp_path / "a.png")])) == []


def test_every_row_and_every_finding_is_reported(tmp_path):
    picture(tmp_path)
    objects = '[{"desc": "", "bbox_2d": [NaN, 1, 2, 3]}]'
    two = f'{{"images": ["a.png"], "width": 9, "height": 9, "height": 9, "objects": {objects}}}'
    found = check(tmp_path, good_row(), two, "{", good_row(width=0, summary=1), "", good_row(images=["gone.png"]))
    assert found == [
        (2, "duplicate_key", "height"),
        (2, "non_finite", "objects[0].bbox_2d[0]"),  # once, though both checks see it
        (2, "empty_desc", "objects[0].desc"),
        (3, "bad_json", ""),
        (4, "bad_size", "width"),
        (4, "bad_summary", "summary"),
        (6, "image_unreadable", "images"),
    ]


@pytest.mark.parametrize("row", ["null", "[]", '{"images": "a.png"}', '{"images": [1]}', '"\\ud800"'])
def test_rows_of_any_form_are_findings(tmp_path, row):
    assert check(tmp_path, row)


def test_pictures_outside_of_the_roots_are_refused(tmp_path):
    inside, outside = tmp_path / "data", tmp_path / "data2"
    inside.mkdir()
    outside.mkdir()
    picture(outside)
    os.symlink(outside / "a.png", inside / "link.png")
    lines = [
        good_row(images=[image]) for image in ("../data2/a.png", str(outside / "a.png"), "link.png", "/etc/passwd")
    ]
    assert [code for _, code, _ in check(inside, *lines)] == ["image_outside_roots"] * len(lines)
    assert [line for line, _, _ in check(inside, *lines, allowed_roots=[str(outside)])] == [4]


def test_a_root_may_be_a_link_and_the_whole_disk_may_be_allowed(tmp_path):
    (tmp_path / "real").mkdir()
    picture(tmp_path / "real")
    os.symlink(tmp_path / "real", tmp_path / "link")
    assert check(tmp_path / "link", good_row()) == []
    assert check(tmp_path, good_row(images=["real/a.png"]), allowed_roots=["/"]) == []


def test_headers_alone_still_show_a_wrong_size(tmp_path):
    picture(tmp_path)
    assert [finding.code for finding in rows(tmp_path, good_row(width=8)).check(images="header")] == ["size_mismatch"]
    with pytest.raises(ValueError, match="check_images"):
        rows(tmp_path, good_row()).check(images="glance")


class DropEvery(BasePreprocessor):
    """Removes the rows whose width is a multiple of seven."""

    def preprocess(self, row):
        return None if row["width"] % 7 == 0 else row


def test_findings_do_not_depend_on_the_number_of_processes(tmp_path):
    picture(tmp_path)
    lines = [good_row(width=5 + number % 5) if number % 11 else "{" for number in range(200)]
    seen = []
    for processes in (1, 3):
        checked = rows(tmp_path, *lines)
        checked.preprocessor = DropEvery()
        seen.append((checked.check(processes=processes), checked.left_out, checked.kept.tolist()))
    assert seen[0] == seen[1]
    assert {finding.code for finding in seen[0][0]} == {"bad_json", "size_mismatch"}
    assert len(seen[0][1]) > 20


def test_pictures_that_were_whole_are_not_decoded_again(tmp_path, monkeypatch):
    picture(tmp_path)
    monkeypatch.setattr(WholePictures.__init__, "__kwdefaults__", {"settled_s": -1.0})
    cache = tmp_path / "cache"
    assert rows(tmp_path, *[good_row()] * 200, cache=cache).check(processes=2) == []
    monkeypatch.setattr(whole_pictures, "check_image", None)  # whoever decodes fails
    found = rows(tmp_path, *[good_row(), good_row(width=8)] * 100, cache=cache).check(processes=2)
    assert [finding.code for finding in found] == ["size_mismatch"] * 100  # what the row says is compared in any case


def test_of_two_runs_that_check_one_file_one_waits(tmp_path, caplog):
    picture(tmp_path)
    caplog.set_level("INFO", logger="qvl")
    checked = rows(tmp_path, good_row(), cache=tmp_path / "cache")
    name = hashlib.sha256(os.fsencode(os.path.realpath(checked.path))).hexdigest()[:32]
    with ThreadPoolExecutor(1) as pool:
        with one_at_a_time(tmp_path / "cache" / "checks" / name, doing="checking"):
            waiting = pool.submit(checked.check)
            while "waiting for another run that is checking the pictures of" not in caplog.text:
                time.sleep(0.01)
            assert not waiting.done()
        assert waiting.result(timeout=10) == []
