import hashlib
import json
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.errors import RecordError
from qvl.records import JsonlFile, check_rows, parse_row
from qvl.records.jsonl import index_rows


def write(folder, data, name="rows.jsonl"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def good_row(**changes):
    return {"images": ["a.jpg"], "objects": [{"desc": "x", "bbox_2d": [1, 2, 3, 4]}], "width": 9, "height": 9} | changes


def lines(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def check(folder, *rows, **options):
    found = check_rows(JsonlFile(write(folder, lines(*rows))), root=str(folder), allowed_roots=(), **options)
    return [(finding.where.line, finding.code, finding.field) for finding in found]


@pytest.mark.parametrize(
    ("data", "rows", "numbers"),
    [
        (b"", [], []),
        (b"\n\n", [], []),
        (b"1\n2\n", [1, 2], [1, 2]),
        (b"1\n2", [1, 2], [1, 2]),  # no newline at the end
        (b"1\r\n2\r\n", [1, 2], [1, 2]),
        (b"\n1\n\n \t\r\n2\n  \n", [1, 2], [2, 5]),  # blank lines count as lines, not as rows
        (b"\xef\xbb\xbf1\n2\n", [1, 2], [1, 2]),
        (b"\xef\xbb\xbf", [], []),
        (b"  1\n", [1], [1]),
        ('"螺丝"\n"\u2028"\n'.encode(), ["螺丝", "\u2028"], [1, 2]),  # only \n ends a line
    ],
)
def test_rows_and_line_numbers(tmp_path, data, rows, numbers):
    file = JsonlFile(write(tmp_path, data))
    assert [file.row(index) for index in range(len(file))] == rows
    assert [file.line(index) for index in range(len(file))] == numbers


@settings(max_examples=60)
@given(st.lists(st.sampled_from([b"", b" ", b"12", b'{"a": 1}', b"\r", b"[1, 2] "]), max_size=12), st.integers(1, 40))
def test_the_index_agrees_with_reading_line_by_line_for_any_chunk_size(tmp_path_factory, parts, chunk):
    path = write(tmp_path_factory.mktemp("jsonl"), b"\n".join(parts))
    expected = [(number, json.loads(part)) for number, part in enumerate(parts, 1) if part.strip()]
    file = JsonlFile(path)
    assert all(map(np.array_equal, index_rows(str(path), chunk_bytes=chunk), index_rows(str(path))))
    assert [(file.line(index), file.row(index)) for index in range(len(file))] == expected


def test_a_bad_line_is_an_error_with_file_line_and_position(tmp_path):
    path = write(tmp_path, '{"a": 1}\n\n{"a": 1, }\n')
    file = JsonlFile(path)
    assert file.row(0) == {"a": 1}
    with pytest.raises(RecordError, match=rf"{path}:3: not JSON at character"):
        file.row(1)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1, "a": 1}'])
def test_nan_infinity_and_duplicate_keys_are_errors(tmp_path, text):
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: a: "):
        JsonlFile(write(tmp_path, text)).row(0)


def test_there_is_no_row_behind_the_last(tmp_path):
    with pytest.raises(IndexError):
        JsonlFile(write(tmp_path, "1\n")).row(1)


def test_a_pickled_file_reads_the_same_rows(tmp_path):
    file = JsonlFile(write(tmp_path, "1\n\n2\n"))
    again = pickle.loads(pickle.dumps(file))
    assert (again.path, again.row(1), again.line(1)) == (file.path, 2, 3)


def test_the_digest_is_that_of_the_whole_file(tmp_path):
    data = b"\xef\xbb\xbf1\n\n2"
    assert JsonlFile(write(tmp_path, data)).sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(RecordError, match="cannot be read"):
        JsonlFile(tmp_path / name)


def test_a_file_that_changes_under_a_run_is_noticed(tmp_path):
    path = write(tmp_path, "1\n2\n")
    file = JsonlFile(path)
    write(tmp_path, "1\n2\n3\n")
    with pytest.raises(RecordError, match="has changed"):
        file.row(0)
    path.unlink()
    with pytest.raises(RecordError, match="cannot be read"):
        file.row(0)


def test_check_rows_finds_nothing_in_a_good_file(tmp_path):
    write(tmp_path, "", "a.jpg")
    assert check(tmp_path, good_row(), "", good_row(images=[str(tmp_path / "a.jpg")])) == []


def test_check_rows_reports_every_row_and_every_finding(tmp_path):
    write(tmp_path, "", "a.jpg")
    objects = '[{"desc": "", "bbox_2d": [NaN, 1, 2, 3]}]'
    two = f'{{"images": ["a.jpg"], "width": 9, "height": 9, "height": 9, "objects": {objects}}}'
    found = check(tmp_path, good_row(), two, "{", good_row(width=0, summary=1), "", good_row(images=["gone.jpg"]))
    assert found == [
        (2, "duplicate_key", "height"),
        (2, "non_finite", "objects[0].bbox_2d[0]"),  # once, though both checks see it
        (2, "empty_desc", "objects[0].desc"),
        (3, "bad_json", ""),
        (4, "bad_size", "width"),
        (4, "bad_summary", "summary"),
        (6, "image_missing", "images[0]"),
    ]


@pytest.mark.parametrize("row", ["null", "[]", '{"images": "a.jpg"}', '{"images": [1]}', '"\\ud800"'])
def test_check_rows_survives_rows_of_any_form(tmp_path, row):
    assert check(tmp_path, row)


def test_a_file_without_rows_is_a_finding(tmp_path):
    assert check(tmp_path) == [(1, "no_rows", "")]


def test_images_outside_of_the_roots_are_refused(tmp_path):
    inside, outside = tmp_path / "data", tmp_path / "data2"
    inside.mkdir()
    outside.mkdir()
    write(outside, "", "a.jpg")
    os.symlink(outside / "a.jpg", inside / "link.jpg")
    images = ["../data2/a.jpg", str(outside / "a.jpg"), "link.jpg", "/etc/passwd", "."]
    file = JsonlFile(write(inside, lines(*(good_row(images=[image]) for image in images))))
    refused = check_rows(file, root=str(inside), allowed_roots=())
    assert [finding.code for finding in refused] == ["image_outside_roots"] * len(images)
    allowed = check_rows(file, root=str(inside), allowed_roots=[str(outside)])
    assert [finding.where.line for finding in allowed] == [4, 5]


def test_a_root_may_be_a_link_and_the_whole_disk_may_be_allowed(tmp_path):
    (tmp_path / "real").mkdir()
    write(tmp_path / "real", "", "a.jpg")
    os.symlink(tmp_path / "real", tmp_path / "link")
    file = JsonlFile(write(tmp_path, lines(good_row())))
    assert check_rows(file, root=str(tmp_path / "link"), allowed_roots=()) == []
    assert check_rows(file, root=str(tmp_path / "real"), allowed_roots=["/"]) == []


def test_a_checked_row_becomes_a_record(tmp_path):
    file = JsonlFile(write(tmp_path, lines(good_row())))
    record = parse_row(file.row(0), source=file.source(0), root=str(tmp_path))
    assert record.images == (str(tmp_path / "a.jpg"),)
