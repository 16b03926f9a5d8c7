from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.data import whole_pictures
from qvl.data.whole_pictures import WholePictures
from qvl.errors import RecordError


@pytest.fixture
def decoded(monkeypatch):
    """Names of the pictures that were decoded, one a time."""
    names: list[str] = []

    def check_image(path):
        names.append(Path(path).name)
        with Image.open(path) as image:
            image.load()
        return image.size

    monkeypatch.setattr(whole_pictures, "check_image", check_image)
    return names


def picture(folder: Path, name: str = "a.png", *, shade: int = 0) -> Path:
    Image.fromarray(np.full((6, 9, 3), shade, dtype=np.uint8)).save(folder / name, format="BMP")  # of one size
    return folder / name


def run(folder: Path, *paths: Path, settled_s: float = -1.0) -> list[tuple[int, int]]:
    """Do what one run does."""
    pictures = WholePictures(folder, settled_s=settled_s)
    sizes = [pictures.check(str(path)) for path in paths]
    pictures.keep()
    return sizes


def test_the_second_run_decodes_nothing(tmp_path, decoded):
    paths = [picture(tmp_path, f"{shade}.png", shade=shade) for shade in range(5)]
    assert run(tmp_path / "cache", *paths) == run(tmp_path / "cache", *paths) == [(9, 6)] * 5
    assert decoded == [path.name for path in paths]


def test_changed_content_is_seen_though_size_and_time_are_those_of_before(tmp_path, decoded):
    path = picture(tmp_path, shade=1)
    before = path.stat()
    run(tmp_path / "cache", path)
    changed = picture(tmp_path, "b.png", shade=2).read_bytes()
    assert len(changed) == before.st_size
    time.sleep(0.02)  # the clock of a disk ticks every few milliseconds
    with path.open("r+b") as file:  # the same inode
        file.write(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    run(tmp_path / "cache", path)
    assert decoded == ["a.png", "a.png"]


def test_what_was_moved_copied_or_touched_is_known_by_its_content(tmp_path, decoded):
    path = picture(tmp_path)
    run(tmp_path / "cache", path)
    copy = Path(shutil.copy(path, tmp_path / "b.png"))
    path.touch()
    assert run(tmp_path / "cache", path, copy) == [(9, 6), (9, 6)]
    assert decoded == ["a.png"]


def test_a_file_that_changed_a_moment_ago_is_not_remembered(tmp_path, decoded):
    path = picture(tmp_path)
    run(tmp_path / "cache", path, settled_s=60.0)
    run(tmp_path / "cache", path, settled_s=60.0)
    assert decoded == ["a.png", "a.png"]


def test_a_fault_is_looked_at_anew(tmp_path):
    path = picture(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    with pytest.raises(RecordError):
        run(tmp_path / "cache", path)
    path.write_bytes(whole)
    assert run(tmp_path / "cache", path) == [(9, 6)]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:30] + b"\xff" + data[31:], lambda _: b""]
)
def test_a_damaged_cache_is_told_of_and_made_again(tmp_path, decoded, damage, caplog):
    path = picture(tmp_path)
    run(tmp_path / "cache", path)
    kept = tmp_path / "cache" / "whole_pictures"
    kept.write_bytes(damage(kept.read_bytes()))
    for _ in range(2):
        run(tmp_path / "cache", path)
    assert decoded == ["a.png", "a.png"]
    assert caplog.text.count("is damaged; it is computed again") >= 1


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, decoded, caplog):
    (tmp_path / "cache").write_text("no folder")
    assert run(tmp_path / "cache", picture(tmp_path)) == [(9, 6)]
    assert "cannot be kept" in caplog.text


def test_two_runs_at_once_lose_nothing_of_each_other(tmp_path, decoded):
    first, second = (WholePictures(tmp_path / "cache", settled_s=-1.0) for _ in range(2))
    for pictures, name in ((first, "a.png"), (second, "b.png")):
        pictures.check(str(picture(tmp_path, name, shade=ord(name[0]))))
    first.keep()
    second.keep()
    run(tmp_path / "cache", tmp_path / "a.png", tmp_path / "b.png")
    assert decoded == ["a.png", "b.png"]


def test_the_table_does_not_grow_for_ever(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(whole_pictures, "_MOST", 6)
    clock = iter(range(10**9, 2 * 10**9))
    monkeypatch.setattr(whole_pictures.time, "time", lambda: float(next(clock)) + 10**9)
    for shade in range(5):
        run(tmp_path / "cache", picture(tmp_path, f"{shade}.png", shade=shade))
    run(tmp_path / "cache", *(tmp_path / f"{shade}.png" for shade in (4, 3, 2)))
    assert len(decoded) == 5
    run(tmp_path / "cache", tmp_path / "0.png")
    assert decoded[5:] == ["0.png"]
