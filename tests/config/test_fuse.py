"""The verb `qvl.fuse` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

from verbs import run_verb


def fuse(folder: Path, *overrides: str) -> CompletedProcess[str]:
    return run_verb("fuse", "data.prepare.splits={train: 6, val: 1}", *overrides, cwd=folder)


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_it_writes_the_rows_of_an_epoch_and_shows_the_shares(tmp_path):
    done = fuse(tmp_path, "data=pretrain_pairs", "out=mix.jsonl", "epoch=1")
    assert done.returncode == 0, done.stderr
    assert "singles" in done.stdout
    assert "0.75" in done.stdout
    mix = rows(tmp_path / "mix.jsonl")
    assert len(mix) == 2 + 5  # halves are rounded up: 1.5 and 4.5 of 6
    assert all(Path(image).is_file() for row in mix for image in row["images"])
    assert {row["metadata"]["mix"]["source"] for row in mix} == {"singles", "pairs"}


def test_the_same_seed_and_epoch_give_the_same_file(tmp_path):
    for name, epoch in (("a", 0), ("b", 0), ("c", 1)):
        assert fuse(tmp_path, f"out={name}.jsonl", f"epoch={epoch}").returncode == 0
    first, same, other = (rows(tmp_path / f"{name}.jsonl") for name in "abc")
    assert first == same != other


def test_a_missing_folder_is_told_in_short_words(tmp_path):
    done = fuse(tmp_path, "out=gone/mix.jsonl")
    assert done.returncode == 2
    assert "there is no folder" in done.stderr
    assert "Traceback" not in done.stderr
