"""Checkpoints: whole or not there, whatever is lost, changed or killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import qvl
from qvl.errors import CheckpointError
from qvl.runtime.checkpoint import (
    MANIFEST_NAME,
    checkpoint_folder,
    discard_staging,
    list_checkpoints,
    newest_good,
    publish,
    resolve_resume,
    rotate,
    seal,
    staging_folder,
    step_of,
    verify,
)

FILES = ("adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "global_step/rank_0.pt")
DAMAGES = ("deleted", "truncated", "flipped", "emptied", "longer")


def stage(run: Path, step: int) -> Path:
    staging = staging_folder(run, step)
    (staging / "global_step").mkdir(parents=True)
    for name in FILES:
        (staging / name).write_bytes(os.urandom(2000))
    return staging


def checkpoint(run: Path, step: int) -> Path:
    final = checkpoint_folder(run, step)
    publish(stage(run, step), final)
    return final


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    match how:
        case "deleted":
            path.unlink()
        case "truncated":
            path.write_bytes(content[:-1])
        case "flipped":
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "emptied":
            path.write_bytes(b"")
        case "longer":
            path.write_bytes(content + b"\n")


def test_a_published_checkpoint_verifies_and_nothing_else_is_left(tmp_path: Path) -> None:
    final = checkpoint(tmp_path, 30)
    manifest = verify(final)
    assert manifest.step == 30
    assert [file.path for file in manifest.files] == sorted(FILES)
    assert [file.bytes for file in manifest.files] == [2000] * len(FILES)
    assert os.listdir(tmp_path) == ["checkpoint-30"]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", [*FILES, MANIFEST_NAME])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str, how: str) -> None:
    final = checkpoint(tmp_path, 30)
    damage(final / name, how)
    with pytest.raises(CheckpointError, match=name):
        verify(final)


def test_every_changed_byte_of_the_manifest_is_noticed(tmp_path: Path) -> None:
    final = checkpoint(tmp_path, 30)
    path = final / MANIFEST_NAME
    content = path.read_bytes()
    for position in range(len(content)):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ (1 << position % 8)]) + content[position + 1 :]
        )
        with pytest.raises(CheckpointError, match=MANIFEST_NAME):
            verify(final)


def test_all_damages_are_listed_at_once(tmp_path: Path) -> None:
    final = checkpoint(tmp_path, 30)
    for name, how in zip(FILES, ("deleted", "truncated", "flipped"), strict=False):
        damage(final / name, how)
    (final / "surprise.py").write_text("")
    with pytest.raises(CheckpointError) as raised:
        verify(final)
    assert str(raised.value).splitlines()[1:] == [
        "  adapter_model.safetensors: missing",
        "  optimizer.pt: truncated, 1999 of 2000 bytes",
        "  rng_state.pth: damaged, its content is not what was saved",
        "  surprise.py: not in the manifest",
    ]


def test_links_are_neither_sealed_nor_verified(tmp_path: Path) -> None:
    final = checkpoint(tmp_path, 30)
    (final / "optimizer.pt").unlink()
    (final / "optimizer.pt").symlink_to(final / "rng_state.pth")
    with pytest.raises(CheckpointError, match=r"optimizer\.pt"):
        verify(final)
    with pytest.raises(CheckpointError, match=r"optimizer\.pt"):
        seal(final, step=30)


def test_a_checkpoint_of_another_format_or_step_says_so(tmp_path: Path) -> None:
    final = checkpoint(tmp_path, 30)
    renamed = final.rename(tmp_path / "checkpoint-31")
    with pytest.raises(CheckpointError, match="of step 30"):
        verify(renamed)
    copied = renamed.rename(tmp_path / "my_best")
    assert verify(copied).step == 30
    path = copied / MANIFEST_NAME
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(CheckpointError, match="format 2, this version of qvl reads format 1"):
        verify(copied)


@pytest.mark.parametrize("content", ["[]", "3", '{"format": 1}', '{"format": 1, "step": 1, "files": [1]}', "\udc80"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    final = checkpoint(tmp_path, 30)
    (final / MANIFEST_NAME).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=MANIFEST_NAME):
        verify(final)


@pytest.mark.parametrize(
    "name", ["checkpoint", "checkpoint-", "checkpoint-01", "checkpoint-1x", "best", "checkpoint-²"]
)
def test_publishing_under_another_name_is_an_error(tmp_path: Path, name: str) -> None:
    staging = stage(tmp_path, 1)
    assert step_of(tmp_path / name) is None
    with pytest.raises(ValueError, match="checkpoint-<step>"):
        publish(staging, tmp_path / name)


def test_an_empty_or_missing_folder_is_not_sealed(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        seal(tmp_path / "gone", step=1)
    with pytest.raises(CheckpointError, match="nothing to seal"):
        seal(tmp_path, step=1)


def test_checkpoints_are_ordered_by_step_not_by_name_or_time(tmp_path: Path) -> None:
    for age, step in enumerate((100, 9, 20)):
        os.utime(checkpoint(tmp_path, step), (age, age))
    (tmp_path / "checkpoint-final").mkdir()
    (tmp_path / "checkpoint-500").write_text("a file")
    (tmp_path / "checkpoint-600").symlink_to(tmp_path / "checkpoint-9")
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-20", "checkpoint-100"]
    assert newest_good(tmp_path) == tmp_path / "checkpoint-100"
    assert list_checkpoints(tmp_path / "gone") == []


def test_latest_skips_damaged_checkpoints_and_reports_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (10, 20, 30):
        checkpoint(tmp_path, step)
    damage(tmp_path / "checkpoint-30" / "optimizer.pt", "truncated")
    stage(tmp_path, 40)
    with caplog.at_level("WARNING", logger="qvl"):
        assert resolve_resume("latest", tmp_path) == tmp_path / "checkpoint-20"
    assert "checkpoint-30" in caplog.text
    assert "optimizer.pt: truncated" in caplog.text


def test_latest_without_a_good_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="it holds none"):
        resolve_resume("latest", tmp_path)
    damage(checkpoint(tmp_path, 10) / "optimizer.pt", "deleted")
    with pytest.raises(CheckpointError, match="damaged: checkpoint-10"):
        resolve_resume("latest", tmp_path)


def test_null_starts_afresh_and_a_path_is_verified(tmp_path: Path) -> None:
    good = checkpoint(tmp_path, 10)
    assert resolve_resume(None, tmp_path) is None
    assert resolve_resume(str(good), tmp_path / "another_run") == good


@pytest.mark.parametrize("asked", ["checkpoint-30", "checkpoint-77", "."])
def test_a_bad_path_names_the_newest_good_checkpoint_beside_it(tmp_path: Path, asked: str) -> None:
    for step in (10, 20, 30):
        checkpoint(tmp_path, step)
    damage(tmp_path / "checkpoint-30" / "optimizer.pt", "flipped")
    with pytest.raises(CheckpointError, match=r"newest good checkpoint beside it is \S+/checkpoint-20$"):
        resolve_resume(tmp_path / asked, tmp_path)


def test_a_bad_path_without_a_good_neighbour_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no good one beside it"):
        resolve_resume(tmp_path / "typo", tmp_path)


def test_the_same_step_is_replaced(tmp_path: Path) -> None:
    before = verify(checkpoint(tmp_path, 10))
    after = verify(checkpoint(tmp_path, 10))
    assert before != after
    assert os.listdir(tmp_path) == ["checkpoint-10"]


def test_a_checkpoint_set_aside_by_a_killed_replacement_is_found_and_restored(tmp_path: Path) -> None:
    checkpoint(tmp_path, 10)
    aside = checkpoint(tmp_path, 20).rename(tmp_path / ".replaced-checkpoint-20")
    seal(stage(tmp_path, 20), step=20)
    assert newest_good(tmp_path) == aside
    assert discard_staging(tmp_path) == [tmp_path / ".staging-checkpoint-20", aside]
    assert newest_good(tmp_path) == tmp_path / "checkpoint-20"


def test_discarding_removes_leftovers_only(tmp_path: Path) -> None:
    good = checkpoint(tmp_path, 10)
    stage(tmp_path, 20)
    (tmp_path / ".staging-file").write_text("")
    (tmp_path / ".staging-link").symlink_to(good)
    shutil.copytree(good, tmp_path / ".replaced-checkpoint-10")
    (tmp_path / "events").write_text("")
    assert len(discard_staging(tmp_path)) == 4
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-10", "events"]
    assert verify(good).step == 10


def test_rotation_goes_by_step_and_spares_the_protected(tmp_path: Path) -> None:
    for step in (100, 5, 20, 9):  # the order of saving is not the order of steps
        checkpoint(tmp_path, step)
    removed = rotate(tmp_path, keep=2, protected=[tmp_path / "checkpoint-5"])
    assert [path.name for path in removed] == ["checkpoint-9"]
    assert sorted(os.listdir(tmp_path)) == ["checkpoint-100", "checkpoint-20", "checkpoint-5"]


def test_rotation_neither_counts_nor_removes_what_is_not_whole(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint(tmp_path, step)
    damage(tmp_path / "checkpoint-3" / "optimizer.pt", "truncated")
    (tmp_path / "checkpoint-0").mkdir()  # not ours
    assert rotate(tmp_path, keep=1, protected=()) == [tmp_path / "checkpoint-1"]
    assert newest_good(tmp_path) == tmp_path / "checkpoint-2"
    assert (tmp_path / "checkpoint-0").exists()
    with pytest.raises(ValueError, match="at least 1"):
        rotate(tmp_path, keep=0, protected=())


SAVE = """
import os, sys
from pathlib import Path
from qvl.runtime.checkpoint import *

run = Path(sys.argv[1])

def save(step):
    staging, final = staging_folder(run, step), checkpoint_folder(run, step)
    (staging / "part").mkdir(parents=True)
    content = os.urandom(20_000)
    for name in ("model", "part/optimizer"):
        (staging / name).write_bytes(content)
    publish(staging, final)
    rotate(run, keep=2, protected=[final])

discard_staging(run)
"""

SAVE_FOREVER = """
save(1)
print("ready", flush=True)
step = 1
while True:
    step = step % 3 + 1
    save(step)
"""

KILL_AT_EVERY_CALL = """
import signal
os.fsync = lambda descriptor: None  # slow, and a kill does not need it
WATCHED = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.scandir"}

def kill_at(limit):
    calls = 0
    def watch(event, arguments):
        nonlocal calls
        calls += event in WATCHED
        if calls == limit:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)

points = 0
for step in (1, 2, 3):
    save(step)
while True:
    if not (run / "checkpoint-1").exists():
        save(1)
    child = os.fork()
    if child == 0:
        kill_at(points + 1)
        save(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    found = newest_good(run)
    if found is None or verify(found).step != 3:
        sys.exit(f"killed at call {points + 1}: {found} in {os.listdir(run)}")
    discard_staging(run)
    if set(os.listdir(run)) | {"checkpoint-1"} != {"checkpoint-1", "checkpoint-2", "checkpoint-3"}:
        sys.exit(f"killed at call {points + 1}: {os.listdir(run)}")
    if newest_good(run) != run / "checkpoint-3":
        sys.exit(f"killed at call {points + 1}: checkpoint-3 is not good")
    if status == 0:
        break
    points += 1
print(points)
"""


def start(script: str, run: Path) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(Path(qvl.__file__).parents[1])}
    command = [sys.executable, "-c", SAVE + script, str(run)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def test_the_newest_good_checkpoint_loads_after_a_kill_at_any_time(tmp_path: Path) -> None:
    delays = random.Random(0)
    for _ in range(10):
        with start(SAVE_FOREVER, tmp_path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(delays.uniform(0, 0.06))
            process.send_signal(signal.SIGKILL)
        found = newest_good(tmp_path)
        assert found is not None
        assert (found / "model").read_bytes() == (found / "part" / "optimizer").read_bytes()


def test_a_kill_at_every_single_file_operation_of_a_replacement_loses_nothing(tmp_path: Path) -> None:
    with start(KILL_AT_EVERY_CALL, tmp_path) as process:
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert int(output) > 20
