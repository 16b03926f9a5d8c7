import hashlib
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.errors import RecordError
from qvl.records import JsonlFile, parse_row
from qvl.records.jsonl import index_rows


def write(folder, data, name="rows.jsonl"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def good_row(**changes):
    return {"images": ["a.jpg"], "objects": [{"desc": "x", "bbox_2d": [1, 2, 3, 4]}], "width": 9, "height": 9} | changes


def lines(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


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


def test_a_row_becomes_a_record(tmp_path):
    file = JsonlFile(write(tmp_path, lines(good_row())))
    record = parse_row(file.row(0), source=file.source(0), root=str(tmp_path))
    assert record.images == (str(tmp_path / "a.jpg"),)
