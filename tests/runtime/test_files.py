"""Files and folders are the old ones or the new ones."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import resource
import time
from itertools import pairwise
from pathlib import Path

import pytest

from qvl.runtime import discard, locked, replace_folder, sha256_of, sync_tree, write_bytes, write_json, write_text


def folder(path: Path, content: str) -> Path:
    (path / "below").mkdir(parents=True)
    (path / "below" / "file").write_text(content)
    return path


def test_text_is_replaced_and_nothing_is_left_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "旧\n")
    write_text(path, "新\r\n")
    assert path.read_bytes() == "新\r\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_usual_permissions_are_kept(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "atomic", "")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_keeps_non_ascii_and_survives_lone_surrogates(tmp_path: Path) -> None:
    value = {"名": "螺丝\n", "argument": "\udc80"}
    write_json(tmp_path / "a.json", value)
    assert "螺丝" in (tmp_path / "a.json").read_text()
    assert json.loads((tmp_path / "a.json").read_text()) == value


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), ({1, 2}, TypeError)])
def test_what_is_no_json_leaves_the_old_file(tmp_path: Path, value: object, error: type[Exception]) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(error):
        write_json(tmp_path / "a.json", [value])
    assert (tmp_path / "a.json").read_text() == "1\n"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_bytes(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_sha256_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(3_000_000))
    assert sha256_of(tmp_path / "a") == hashlib.sha256(bytes(3_000_000)).hexdigest()


def test_a_folder_takes_the_place_of_none_or_of_an_older_one(tmp_path: Path) -> None:
    for content in ("one", "two"):
        replace_folder(folder(tmp_path / "staging", content), tmp_path / "final")
        assert (tmp_path / "final" / "below" / "file").read_text() == content
        assert os.listdir(tmp_path) == ["final"]


def test_a_failed_replacement_puts_the_older_folder_back(tmp_path: Path) -> None:
    folder(tmp_path / "final", "old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "final")
    assert (tmp_path / "final" / "below" / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["final"]


def test_a_folder_set_aside_earlier_does_not_stand_in_the_way(tmp_path: Path) -> None:
    folder(tmp_path / ".replaced-final", "oldest")
    folder(tmp_path / "final", "old")
    replace_folder(folder(tmp_path / "staging", "new"), tmp_path / "final")
    assert os.listdir(tmp_path) == ["final"]


def test_discarding_a_link_leaves_its_target(tmp_path: Path) -> None:
    target = folder(tmp_path / "target", "kept")
    (tmp_path / "link").symlink_to(target)
    for name in ("link", "nothing"):
        discard(tmp_path / name)
    assert os.listdir(tmp_path) == ["target"]
    discard(target)
    assert os.listdir(tmp_path) == []


def test_syncing_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    sync_tree(folder(tmp_path / "here", ""))
    with pytest.raises(FileNotFoundError):
        sync_tree(tmp_path / "gone")


def hold(folder: str, log: str) -> None:
    with locked(Path(folder)), Path(log).open("a") as file:
        for _ in range(20):
            file.write(f"{os.getpid()}\n")
            file.flush()
            time.sleep(0.005)


def test_a_lock_lets_one_process_at_a_time_pass(tmp_path):
    arguments = (str(tmp_path / "made" / "thing"), str(tmp_path / "log"))
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=hold, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    owners = (tmp_path / "log").read_text().split()
    assert len(owners) == 60
    assert sum(first != second for first, second in pairwise(owners)) == 2
