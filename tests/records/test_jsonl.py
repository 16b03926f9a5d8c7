import hashlib
import json
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.errors import RecordError
from qvl.records import JsonlFile, parse_row


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
@given(st.lists(st.sampled_from([b"", b" ", b"12", b'{"a": 1}', b"\r", b"[1, 2] "]), max_size=12))
def test_the_index_agrees_with_reading_line_by_line(tmp_path_factory, parts):
    path = write(tmp_path_factory.mktemp("jsonl"), b"\n".join(parts))
    expected = [(number, json.loads(part)) for number, part in enumerate(parts, 1) if part.strip()]
    file = JsonlFile(path)
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


@pytest.mark.parametrize("index", [-1, 1])
def test_there_is_no_row_behind_the_last_or_before_the_first(tmp_path, index):
    file = JsonlFile(write(tmp_path, "1\n"))
    for function in (file.row, file.read, file.line, file.source):
        with pytest.raises(IndexError, match="has 1 rows"):
            function(index)


def test_a_row_is_read_as_it_stands(tmp_path):
    file = JsonlFile(write(tmp_path, b"\n \n{ } \r\n\n\n2"))
    assert [file.read(0), file.read(1)] == [b"{ } \r", b"2"]


@pytest.mark.parametrize("cached", [False, True])
def test_a_pickled_file_reads_the_same_rows(tmp_path, cached):
    file = JsonlFile(write(tmp_path, "1\n\n2\n"), cache=tmp_path / "cache" if cached else None)
    assert file.row(0) == 1  # the descriptor is open now
    again = pickle.loads(pickle.dumps(file))
    assert (again.path, again.row(1), again.line(1)) == (file.path, 2, 3)


def test_a_pickle_of_a_kept_index_is_small(tmp_path):
    path = write(tmp_path, "1\n" * 50_000)
    assert len(pickle.dumps(JsonlFile(path, cache=tmp_path / "cache"))) < 1000


def test_a_file_that_changes_while_it_is_pickled_is_noticed(tmp_path):
    path = write(tmp_path, "1\n2\n")
    content = pickle.dumps(JsonlFile(path, cache=tmp_path / "cache"))
    write(tmp_path, "1\n2\n3\n")
    with pytest.raises(RecordError, match="has changed"):
        pickle.loads(content)


def read_all(file):
    return [file.row(index) for index in range(len(file))]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes_read_the_same_rows(tmp_path, method):
    file = JsonlFile(write(tmp_path, "\n".join(map(str, range(200)))), cache=tmp_path / "cache")
    file.row(7)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(read_all, [file] * 4, chunksize=1) == [[*range(200)]] * 4


def test_threads_read_at_once_and_leave_one_descriptor_open(tmp_path):
    file = JsonlFile(write(tmp_path, "\n".join(map(str, range(5000)))))
    before = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(file.row, range(5000))] == [*range(5000)]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del file
    assert len(os.listdir("/proc/self/fd")) == before


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


def test_a_file_that_is_replaced_under_a_run_is_noticed(tmp_path):
    path = write(tmp_path, "1\n2\n")
    file = JsonlFile(path)
    assert file.row(0) == 1
    write(tmp_path, "3\n4\n5\n", name="new").replace(path)
    with pytest.raises(RecordError, match="has changed"):
        file.row(0)


def test_a_row_becomes_a_record(tmp_path):
    file = JsonlFile(write(tmp_path, lines(good_row())))
    record = parse_row(file.row(0), source=file.source(0), root=str(tmp_path))
    assert record.images == (str(tmp_path / "a.jpg"),)
