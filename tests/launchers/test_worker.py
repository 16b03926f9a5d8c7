"""A rank finds Hydra as if it had composed the job, and tells how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra_plugins.qvl_torchrun_launcher._causes import (
    Cause,
    RankEnd,
    clear_attempt,
    dead_ranks,
    first_cause,
    last_lines,
    note_end,
    note_start,
    rank_log,
    write_error,
    write_failures,
)
from hydra_plugins.qvl_torchrun_launcher._environment import job_environment
from hydra_plugins.qvl_torchrun_launcher._processes import (
    Command,
    JobProcess,
    agent_argv,
    new_sweep,
    new_token,
    processes_of,
    start,
    stop,
    worker_argv,
)
from hydra_plugins.qvl_torchrun_launcher._slots import Slot

MakeJob = Callable[..., Path]


def run_worker(job_file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(worker_argv(job_file), env=env, capture_output=True, text=True, timeout=60, check=False)


def result(job_file: Path) -> Any:
    return json.loads((job_file.parent / "result.json").read_text())


def start_job(job_file: Path, processes: int) -> JobProcess:
    """Start a job on the CPU through torchrun."""
    token = new_token(new_sweep())
    slot = Slot(0, (), processes)
    env = job_environment(os.environ, slot=slot, token=token, threads=1, extra={}, job_folder=job_file.parent)
    argv = agent_argv(job_file, processes=processes, job_id="job3")
    return start(Command(argv, env, job_file.parent / "launcher.log", token, agent=True))


def wait(job: JobProcess, timeout_s: float = 60) -> int | None:
    end = time.monotonic() + timeout_s
    while job.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    stop([job], grace_s=0)
    return job.poll()


@pytest.mark.parametrize("task", ["toy_task:double", "toy_task:double_in_hydra"])
def test_a_task_is_called_with_its_config(make_job: MakeJob, task: str) -> None:
    job_file = make_job(task, value=21)
    assert run_worker(job_file).returncode == 0
    assert result(job_file) == {"state": "completed", "return_value": 42}
    assert (job_file.parent / "toy.log").read_text() == "INFO doubling 21\n", "Hydra's job logging is set up"
    assert dead_ranks(job_file.parent) == []
    assert first_cause(job_file.parent) is None


def test_hydra_is_restored(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:tell")
    assert run_worker(job_file, OMP_NUM_THREADS="1").returncode == 0
    told = result(job_file)["return_value"]
    assert told == {
        "cwd": os.getcwd(),
        "environment": {"OMP_NUM_THREADS": "1"},  # one process is no rank
        "job": {"name": "toy", "num": 3, "id": "3"},
        "output_dir": str(job_file.parent),
        "overrides": ["value=2"],
    }


def test_the_folder_changes_only_if_hydra_is_told_to(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:tell", hydra_job={"chdir": True})
    assert run_worker(job_file).returncode == 0
    assert result(job_file)["return_value"]["cwd"] == str(job_file.parent)


def test_interpolations_into_the_environment_are_resolved_in_the_rank(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:double", value="${oc.env:SECRET}")
    assert run_worker(job_file, SECRET="xy").returncode == 0
    assert result(job_file)["return_value"] == "xyxy"
    assert "xy" not in job_file.read_text()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("numpy.float32(0.5)", 0.5),
        ("(numpy.float64(1.5), 2)", [1.5, 2]),
        ("object()", None),
        ("float('nan')", "NaN"),
    ],
)
def test_what_json_can_hold_is_returned(make_job: MakeJob, tmp_path: Path, expression: str, value: object) -> None:
    (tmp_path / "own_task.py").write_text(f"import numpy\n\n\ndef main(cfg):\n    return {expression}\n")
    job_file = make_job("own_task:main")
    job_file.write_text(job_file.read_text() + f"path: ['{tmp_path}']\n")
    assert run_worker(job_file).returncode == 0
    returned = result(job_file)["return_value"]
    assert (str(returned).replace("nan", "NaN") if value == "NaN" else returned) == value


def test_an_exception_is_told_in_the_form_of_torchrun(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:fail", message="böse\n")
    for_torchrun = job_file.parent / "torchrun.json"
    done = run_worker(job_file, TORCHELASTIC_ERROR_FILE=str(for_torchrun))
    assert done.returncode == 1
    assert "ValueError: böse" in done.stderr
    message = json.loads((job_file.parent / "error.json").read_text())["message"]
    assert message["message"] == "ValueError: böse\n"
    assert message["extraInfo"]["rank"] == "0"
    assert "toy_task.py" in message["extraInfo"]["py_callstack"]
    assert int(message["extraInfo"]["timestamp"]) == pytest.approx(time.time(), abs=60)
    assert json.loads(for_torchrun.read_text())["message"] == message
    assert not (job_file.parent / "result.json").exists()
    assert dead_ranks(job_file.parent) == [0]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("toy_task:missing", "AttributeError: module 'toy_task' has no attribute 'missing'"),
        ("no_such_module:main", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_task_that_is_not_there_is_an_error_of_the_job(make_job: MakeJob, task: str, message: str) -> None:
    job_file = make_job(task)
    assert run_worker(job_file).returncode == 1
    assert first_cause(job_file.parent) is not None
    assert json.loads((job_file.parent / "error.json").read_text())["message"]["message"] == message


@pytest.mark.parametrize(
    ("code", "exit_code", "state", "cause"),
    [
        (0, 0, "completed", None),
        (None, 0, "completed", None),
        (75, 75, "preempted", None),
        (3, 3, None, "SystemExit: 3"),
        ("no data", 1, None, "SystemExit: no data"),
    ],
)
def test_an_exit_code_has_a_meaning(
    make_job: MakeJob, code: object, exit_code: int, state: str | None, cause: str | None
) -> None:
    job_file = make_job("toy_task:leave", code=code)
    assert run_worker(job_file).returncode == exit_code
    found = first_cause(job_file.parent)
    assert (found and found.exception) == cause
    if state is not None:
        assert result(job_file) == {"state": state, "return_value": None}


def test_the_first_of_two_failures_is_kept(tmp_path: Path) -> None:
    write_error(tmp_path, 1, ValueError("boom"))
    write_error(tmp_path, 0, ConnectionError("closed by peer"))
    assert json.loads((tmp_path / "error.json").read_text())["message"]["message"] == "ValueError: boom"
    cause = first_cause(tmp_path)
    assert cause is not None
    assert (cause.rank, cause.exception) == (1, "ValueError: boom")
    assert {path.name for path in tmp_path.iterdir()} == {"error.json", "ranks"}


@pytest.mark.parametrize(
    ("exit_code", "gone_before", "blamed"),
    [
        (-signal.SIGKILL, True, Cause(1, "killed by SIGKILL", exit_code=-9)),  # out of memory: the other misses it
        (-signal.SIGABRT, True, Cause(1, "killed by SIGABRT", exit_code=-6)),
        (7, True, Cause(1, "exit code 7", exit_code=7)),
        (None, True, Cause(1, "disappeared without a message")),  # the agent was killed as well
        (-signal.SIGKILL, False, Cause(0, "ConnectionError: closed by peer", exit_code=1)),  # the launcher ended it
        (-signal.SIGTERM, False, Cause(0, "ConnectionError: closed by peer", exit_code=1)),  # torchrun did
    ],
)
def test_a_rank_that_could_not_tell_is_blamed_if_it_was_first(
    tmp_path: Path, exit_code: int | None, gone_before: bool, blamed: Cause
) -> None:
    note_start(tmp_path, 0)
    note_start(tmp_path, 1)
    if gone_before:
        forge_end(tmp_path, 1)
    write_error(tmp_path, 0, ConnectionError("closed by peer"))
    forge_end(tmp_path, 1)
    if exit_code is not None:
        write_failures(tmp_path, [RankEnd(0, 1, 5.0), RankEnd(1, exit_code, 5.0)])
    cause = first_cause(tmp_path)
    assert cause is not None
    assert (cause.rank, cause.exception, cause.exit_code) == (blamed.rank, blamed.exception, blamed.exit_code)


@pytest.mark.parametrize("reaction", [-signal.SIGTERM, -signal.SIGABRT, 75])
def test_where_no_rank_could_tell_a_reaction_is_not_the_cause(tmp_path: Path, reaction: int) -> None:
    (tmp_path / "ranks").mkdir()
    write_failures(tmp_path, [RankEnd(0, reaction, 5.0), RankEnd(1, -signal.SIGKILL, 5.0)])
    assert first_cause(tmp_path) == Cause(1, "killed by SIGKILL", exit_code=-9)


def forge_end(job_folder: Path, rank: int) -> None:
    """Let the note of a rank look as if its id had gone to another process."""
    path = job_folder / "ranks" / "pids" / f"{rank}.json"
    path.write_text(path.read_text().replace('"started": ', '"started": 1'))


def test_ranks_that_disappear_are_dead_and_those_that_end_well_are_not(tmp_path: Path) -> None:
    for rank in range(3):
        note_start(tmp_path, rank)
    assert dead_ranks(tmp_path) == []
    note_end(tmp_path, 0)
    forge_end(tmp_path, 2)
    assert dead_ranks(tmp_path) == [2]
    assert first_cause(tmp_path) == Cause(2, "disappeared without a message")


def test_an_attempt_is_cleared_but_for_its_logs(tmp_path: Path) -> None:
    note_start(tmp_path, 0)
    write_error(tmp_path, 0, ValueError("boom"))
    write_failures(tmp_path, [RankEnd(0, 1, 0.0)])
    (tmp_path / "ranks" / "logs").mkdir()
    (tmp_path / "result.json").write_text("{}")
    clear_attempt(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["ranks", "ranks/logs"]
    clear_attempt(tmp_path)
    assert first_cause(tmp_path) is None


def test_the_last_lines_of_a_log_show_a_progress_bar_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100_000 + b"\nfirst\n 1%\r 50%\r 99%\nlast \xff\n\n")
    assert last_lines(log, 3) == ["first", " 99%", "last \ufffd"]
    log.write_bytes(b"\n")
    assert last_lines(log) == []


def test_the_start_of_a_worker_needs_no_torch() -> None:
    script = "import sys, hydra_plugins.qvl_torchrun_launcher._worker as w; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_two_ranks_add_up_and_have_logs_of_their_own(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:all_reduce", value=2)
    job = start_job(job_file, 2)
    assert wait(job) == 0, (job_file.parent / "launcher.log").read_text()
    assert result(job_file) == {"state": "completed", "return_value": 6.0}
    assert dead_ranks(job_file.parent) == []
    assert (job_file.parent / "toy.log").read_text() == "INFO rank 0 has 6.0\n"
    log = rank_log(job_file.parent, 1)
    assert log is not None
    assert "rank 1 has 6.0" in log.with_name("stdout.log").read_text()
    assert processes_of(job.token) == []


@pytest.mark.slow
def test_the_rank_that_was_killed_is_blamed_not_the_one_that_missed_it(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:fall", rank=1)
    job = start_job(job_file, 2)
    assert wait(job) == 1
    cause = first_cause(job_file.parent)
    assert cause == Cause(1, "killed by SIGKILL", exit_code=-9)
    log = rank_log(job_file.parent, 0)
    assert log is not None
    assert last_lines(log, 1) == ["ConnectionError: connection closed by peer"]


@pytest.mark.slow
def test_ranks_of_torchrun_save_and_are_preempted(make_job: MakeJob) -> None:
    job_file = make_job("toy_task:save", seconds=1)
    folder = job_file.parent
    job = start_job(job_file, 2)
    end = time.monotonic() + 60
    while len(list(folder.glob("ready-*"))) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(job.pid, signal.SIGTERM)  # a stranger's: the agent passes it on
    stop([job], grace_s=20)
    assert sorted(path.name for path in folder.glob("saved-*")) == ["saved-0", "saved-1"]
    assert result(job_file) == {"state": "preempted", "return_value": None}
    assert job.poll() == 1
    assert dead_ranks(folder) == []
