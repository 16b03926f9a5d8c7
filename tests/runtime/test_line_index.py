"""The index of a file is right for any content, and a kept one is used only where it is right."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.runtime.line_index import LineIndex, index_lines, open_index


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def lines(path: str, index: LineIndex) -> list[tuple[int, bytes]]:
    content = Path(path).read_bytes()
    spans = zip(index.starts[:-1], index.starts[1:], strict=True)
    return [(index.number(n), content[start:stop].split(b"\n")[0]) for n, (start, stop) in enumerate(spans)]


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from([b"", b" ", b"12", b"\r", b" x ", b"\xef\xbb\xbf", b"long line"]), max_size=12),
    st.integers(1, 40),
    st.booleans(),
)
def test_the_lines_are_those_of_a_split_for_any_block_size(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], block: int, bom: bool
) -> None:
    path = write(tmp_path_factory.mktemp("index") / "a", b"\xef\xbb\xbf" * bom + b"\n".join(parts))
    if not bom and parts and parts[0] == b"\xef\xbb\xbf":
        parts[0] = b""  # is the mark of the file then
    expected = [(number, part) for number, part in enumerate(parts, 1) if part.strip()]
    assert lines(path, index_lines(path, block_bytes=block)) == expected


def test_line_numbers_are_held_only_if_lines_are_blank(tmp_path: Path) -> None:
    assert index_lines(write(tmp_path / "a", b"1\n2\n3")).numbers is None
    index = index_lines(write(tmp_path / "b", b"1\n\n2\n3"))
    assert index.numbers is not None
    assert index.numbers.tolist() == [1, 3, 4]


def test_eight_bytes_a_line(tmp_path: Path) -> None:
    index = index_lines(write(tmp_path / "a", b"1\n" * 1000))
    assert (index.starts.nbytes, index.numbers) == (8 * 1001, None)


@pytest.mark.parametrize("content", [b"", b"1\n2\n", b"\n1\n\n2"])
def test_a_kept_index_is_the_index_and_is_mapped(tmp_path: Path, content: bytes) -> None:
    path, cache = write(tmp_path / "a", content), tmp_path / "deep" / "cache"
    for _ in range(2):
        index = open_index(path, cache=cache)
        assert lines(path, index) == lines(path, index_lines(path))
        assert isinstance(index.starts, np.memmap)
    assert [file.suffix for file in cache.iterdir()] == [".index"]


def test_the_kept_index_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", b"1\n2\n")
    open_index(path, cache=tmp_path / "cache")
    os.link(tmp_path / "a", tmp_path / "b")
    for name in (tmp_path / "a", os.path.relpath(path)):
        with monkeypatch.context() as patch:
            patch.setattr("qvl.runtime.line_index.index_lines", None)
            assert len(open_index(str(name), cache=tmp_path / "cache")) == 2


@pytest.mark.parametrize("content", [b"12\n", b"1\n2\n3\n"])
def test_a_changed_file_is_read_again(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "a", b"1\n2\n")
    assert len(open_index(path, cache=tmp_path / "cache")) == 2
    write(tmp_path / "a", content)
    os.utime(path, ns=(1, 1))  # a clock that went back
    assert lines(path, open_index(path, cache=tmp_path / "cache")) == lines(path, index_lines(path))


def test_a_damaged_index_is_never_used(tmp_path: Path) -> None:
    path, cache = write(tmp_path / "a", b"1\n\n23\n4\n"), tmp_path / "cache"
    expected = lines(path, open_index(path, cache=cache))
    [kept] = cache.iterdir()
    whole = kept.read_bytes()
    damages = [whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(len(whole)) for bit in (1, 64)]
    damages += [whole[:size] for size in range(0, len(whole), 7)] + [whole + bytes(8), b"", b"x" * 200]
    for damaged in damages:
        kept.write_bytes(damaged)
        assert lines(path, open_index(path, cache=cache)) == expected
    assert kept.read_bytes()[-8:] == whole[-8:]


def test_an_index_of_another_file_is_not_used(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", b"1\n2\n"), write(tmp_path / "b", b"1\n23\n")
    open_index(first, cache=tmp_path / "one")
    open_index(second, cache=tmp_path / "two")
    [theirs], [ours] = (tmp_path / "one").iterdir(), (tmp_path / "two").iterdir()
    ours.write_bytes(theirs.read_bytes())
    assert lines(second, open_index(second, cache=tmp_path / "two")) == [(1, b"1"), (2, b"23")]


def test_without_a_place_to_keep_it_the_index_is_built_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a", b"1\n2\n")
    assert len(open_index(path, cache=tmp_path / "a")) == 2  # a file stands where the folder should be
    assert "is not kept" in caplog.text


def test_many_may_index_at_once(tmp_path: Path) -> None:
    path, results = write(tmp_path / "a", b"1\n" * 3000), []
    threads = [
        threading.Thread(target=lambda: results.append(len(open_index(path, cache=tmp_path / "cache"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [3000] * 8
    assert len([*(tmp_path / "cache").iterdir()]) == 1  # nothing half-written is left over


def test_a_missing_file_is_an_error_with_and_without_a_cache(tmp_path: Path) -> None:
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(FileNotFoundError):
            open_index(str(tmp_path / "gone"), cache=cache)
