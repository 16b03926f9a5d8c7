"""The launcher as a user meets it: an application, its sweeps, what fails in them, signals."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sweeps import end, leftovers, read, run, settings, start, wait_for

PATIENT = settings(cpu_processes=4)


def test_importing_what_hydra_scans_is_light() -> None:
    names = ("torch", "psutil", "rich", "subprocess")
    code = (
        "import sys; import hydra_plugins.qvl_torchrun_launcher.config, hydra_plugins.qvl_torchrun_launcher._errors; "
        "before = set(sys.modules); import hydra_plugins.qvl_torchrun_launcher.torchrun_launcher; "
        f"print([n for n in {names!r} if n in set(sys.modules) - before or (n != 'subprocess' and n in sys.modules)])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_single_job_of_one_process_runs_in_this_process(tmp_path: Path) -> None:
    process = start(tmp_path, "x=4", *settings(devices="''"), CUDA_VISIBLE_DEVICES="0")
    done = end(process, tmp_path)
    assert done.code == 0
    assert done.starts("0")[0]["pid"] == process.pid
    assert done.starts("0")[0]["CUDA_VISIBLE_DEVICES"] == "", "no device was wanted"
    assert done.status("0")["return_value"] == 8
    assert done.status("0")["state"] == "completed"


def test_all_jobs_see_devices_by_the_numbers_of_nvidia_smi_here_and_apart(tmp_path: Path) -> None:
    """Devices are only names here: nothing can be asked, and nothing uses them."""
    mine = {"CUDA_VISIBLE_DEVICES": "3,5", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    here = run(tmp_path / "here", *settings(gpus_per_job=1), **mine)
    apart = run(tmp_path / "apart", "x=1,2", **mine)
    seen = [done.starts(name)[0] for done, name in ((here, "0"), (apart, "0"), (apart, "1"))]
    assert [start["CUDA_DEVICE_ORDER"] for start in seen] == ["PCI_BUS_ID"] * 3
    assert [start["CUDA_VISIBLE_DEVICES"] for start in seen] == ["3", "3", "5"]
    for done in (here, apart):
        assert "CUDA_DEVICE_ORDER=FASTEST_FIRST is not passed on: jobs count devices as nvidia-smi does" in done.out
    assert "2 jobs on 2 devices: 1 each, 2 at a time\n" in apart.out


def test_devices_that_somebody_uses_are_left_out_and_named(tmp_path: Path) -> None:
    tool = tmp_path / "bin/nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(
        '#!/bin/sh\nfor n in 0 1 2; do test $1 = -L && echo "GPU $n: A100 (UUID: GPU-$n)" '
        '|| echo "GPU-$n, $((n * 900)), 81559, 580.65.06"; done\n'
    )
    tool.chmod(0o755)
    environ = {"PATH": f"{tool.parent}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": "0,GPU-1,2"}
    done = run(tmp_path, "x=1,2", *settings(dry_run="true"), **environ)
    assert done.code == 0
    assert "device GPU-2: 1800 of 81559 MiB taken, by processes that cannot be seen from here: left out;" in done.out
    assert "job 0: wave 0, slot 0, processes 1, CUDA_VISIBLE_DEVICES=GPU-0 " in done.out
    assert "job 1: wave 0, slot 1, processes 1, CUDA_VISIBLE_DEVICES=GPU-1 " in done.out


def test_a_single_job_that_fails_here_shows_its_own_error(tmp_path: Path) -> None:
    done = run(tmp_path, "action=fail")
    assert done.code == 1
    assert "ValueError: boom on rank 0" in done.out
    assert done.status("0")["cause"]["exception"] == "ValueError: boom on rank 0"


@pytest.mark.slow
def test_failures_of_all_kinds_stay_with_their_jobs(tmp_path: Path) -> None:
    actions = "+actions={2:fail,3:kill_self,4:leave,5:orphan,6:ignore_sigterm}"
    done = run(tmp_path, "x=1,2,3,4,5,6", actions, *settings(timeout_min=0.05, grace_s=0.5), *PATIENT)
    assert done.code == 1
    states = ["completed", "failed", "failed", "failed", "completed", "timed_out"]
    assert [done.states()[str(number)] for number in range(6)] == states
    causes = [(done.status(str(number))["cause"] or {}).get("exception", "") for number in range(6)]
    assert causes[1] == "ValueError: boom on rank 0"
    assert "killed by SIGKILL" in causes[2] and "memory" in causes[2]
    assert "without a result" in causes[3]
    assert "timeout_min" in causes[5]
    assert leftovers(tmp_path) == []
    assert "job 1: failed: ValueError: boom on rank 0" in done.out
    assert "sweep: 2 completed, 3 failed, 1 timed out" in done.out


def test_a_job_without_progress_counts_as_hanging(tmp_path: Path) -> None:
    done = run(tmp_path, "action=hang", *settings(stall_min=0.03, grace_s=1))
    assert done.status("0")["state"] == "timed_out"
    assert "hanging" in done.out
    assert done.code == 1


@pytest.mark.parametrize(
    ("on_failure", "code", "together", "states"),
    [
        ("raise_at_end", 1, 1, {"0": "failed"}),  # the next batch of the sweeper does not start
        ("continue", 0, 1, {"0": "failed", "1": "completed"}),
        ("stop", 1, 2, {"0": "failed", "1": "stopped"}),
    ],
)
def test_on_failure_decides_what_one_failure_means(
    tmp_path: Path, on_failure: str, code: int, together: int, states: dict[str, str]
) -> None:
    batches = f"hydra.sweeper.max_batch_size={together}"
    actions = "+actions={1:fail,2:wait}" if together > 1 else "+actions={1:fail}"
    done = run(tmp_path, "x=1,2", actions, batches, *settings(on_failure=on_failure), *PATIENT)
    assert (done.code, done.states()) == (code, states)
    assert ("job 0: failed: ValueError: boom on rank 0" in done.out) == (code == 1)
    assert read(done.folder / "sweep.json")["state"] == "failed"


@pytest.mark.parametrize(
    ("variable", "words"), [("TORCHELASTIC_RUN_ID", "torchrun"), ("LAUNCHER_JOB_TOKEN", "job of a sweep")]
)
def test_a_sweep_inside_a_sweep_is_refused(tmp_path: Path, variable: str, words: str) -> None:
    done = run(tmp_path, "x=1,2", **{variable: "x"})
    assert done.code == 1
    assert words in done.out
    assert "Traceback" not in done.out


def test_all_findings_of_the_check_are_told_and_nothing_starts(tmp_path: Path) -> None:
    done = run(tmp_path, "x=1,2,3", *settings(check="app:check"))
    assert done.code == 1
    assert "job 1: x is 2\njob 1: with 1 process\njob 2: x is 3" in done.out
    assert done.states() == {}
    assert done.starts("0") == []


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+hydra.launcher.env.RANK=3"], "the launcher decides it"),
        ([*settings(devices="'0,1'", gpus_per_job=4)], "there are 2 devices"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(tmp_path: Path, overrides: list[str], words: str) -> None:
    done = run(tmp_path, "x=1,2", *overrides, *settings(dry_run="true"))
    assert done.code == 1
    assert words in done.out
    assert "Traceback" not in done.out


def test_jobs_get_their_variables_callbacks_hear_of_each_and_no_secret_is_written(tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "x=1,2",
        "+actions={2:fail_once}",
        "+hydra.job.env_set.EXTRA='n${x}'",
        "+hydra.callbacks.n._target_=app.Heard",
        *settings(max_restarts=1),
        APP_SECRET="hush",
    )
    assert done.code == 0
    assert [done.starts(name)[0]["EXTRA"] for name in ("0", "1")] == ["n1", "n2"]
    assert [done.starts(name)[0]["secret"] for name in ("0", "1")] == ["hush", "hush"]
    assert (done.status("1")["attempt"], done.status("1")["history"][0]["cause"]) == (
        2,
        "rank 0: ValueError: boom once",
    )
    assert sorted((done.folder / "heard").read_text().split()) == ["end0", "end1", "start0", "start1"]
    written = [path for path in done.folder.rglob("*") if path.is_file() and "starts_" not in path.name]
    assert [path for path in written if "hush" in path.read_text()] == []
    assert (done.folder / "0" / "job.yaml").stat().st_mode & 0o777 == 0o600


def test_a_signal_ends_the_sweep_and_jobs_save(tmp_path: Path) -> None:
    process = start(tmp_path, "x=1,2,3", "action=preempt")
    assert wait_for(lambda: len(list((tmp_path / "runs").glob("*/waits"))) == 2)
    process.send_signal(signal.SIGTERM)
    done = end(process, tmp_path, timeout_s=15)
    assert done.code == 143
    assert done.states() == {"0": "preempted", "1": "preempted", "2": "pending"}
    assert read(done.folder / "sweep.json")["state"] == "stopped"
    assert (done.folder / "0" / "saved_0").exists()
    assert leftovers(tmp_path) == []


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    process = start(tmp_path, "x=1,2", "action=ignore_sigterm", *settings(grace_s=60))
    assert wait_for(lambda: len(list((tmp_path / "runs").glob("*/waits"))) == 2)
    process.send_signal(signal.SIGINT)
    assert wait_for(lambda: "Ctrl-C" in (tmp_path / "out.txt").read_text())
    process.send_signal(signal.SIGINT)
    done = end(process, tmp_path, timeout_s=10)
    assert done.code == 130
    assert done.states() == {"0": "stopped", "1": "stopped"}
    assert leftovers(tmp_path) == []


def test_two_launchers_do_not_share_a_sweep_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with (tmp_path / "runs" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run(tmp_path, "x=1,2")
    assert done.code == 1
    assert "another launcher works in" in done.out


DRY = [
    (8, "1", 8, [(0, 0, "0"), (0, 7, "7")]),
    (3, "4", 2, [(0, 0, "0,1,2,3"), (0, 1, "4,5,6,7"), (1, 0, "0,1,2,3")]),
    (5, "auto", 1, [(0, 0, "0,1,2,3,4,5,6,7"), (4, 0, "0,1,2,3,4,5,6,7")]),  # no device is idle
]


@pytest.mark.parametrize(("jobs", "gpus", "slots", "expected"), DRY)
def test_a_dry_run_shows_slots_waves_devices_and_commands(
    tmp_path: Path, jobs: int, gpus: str, slots: int, expected: list[tuple[int, int, str]]
) -> None:
    numbers = ",".join(str(number) for number in range(jobs))
    done = run(
        tmp_path,
        f"x={numbers}",
        *settings(dry_run="true", gpus_per_job=gpus),
        CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6,7",
    )
    assert done.code == 0
    for wave, slot, devices in expected:
        size = len(devices.split(","))
        assert f"wave {wave}, slot {slot}, processes {size}, CUDA_VISIBLE_DEVICES={devices} " in done.out
    assert f"slot {slots}," not in done.out
    assert done.states() == {} and not (done.folder / "sweep.json").exists()


def test_a_command_of_a_dry_run_runs_the_job(tmp_path: Path) -> None:
    done = run(tmp_path, "x=5,6", "text='a b; c'", *settings(dry_run="true", export=str(tmp_path / "specs")))
    command = next(line for line in done.out.splitlines() if line.startswith("  cd "))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ["PYTHONPATH"]}
    subprocess.run(command, shell=True, check=True, env=env, cwd="/")
    assert (done.folder / "0" / "result.json").read_text().count("10") == 1
    assert done.starts("0")[0]["text"] == "a b; c"
    assert len((tmp_path / "specs" / "jobs.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_two_ranks_add_up_and_a_failing_rank_does_not_hold_its_job(tmp_path: Path) -> None:
    done = run(tmp_path, "x=1,2", "+actions={1:gloo,2:gloo_rank_1_fails}", *settings(gpus_per_job=2), timeout_s=120)
    assert done.code == 1
    assert done.states() == {"0": "completed", "1": "failed"}
    assert [(done.folder / "0" / f"total_{rank}").read_text() for rank in (0, 1)] == ["3", "3"]
    cause = done.status("1")["cause"]
    assert (cause["rank"], cause["exception"]) == (1, "ValueError: boom on rank 1")
    assert any("boom on rank 1" in line for line in cause["last_lines"])
    assert "job 1: failed: rank 1: ValueError: boom on rank 1" in done.out
    assert done.status("1")["seconds"] < 25  # torchrun alone waits 30 s for a rank that does not listen
    assert leftovers(tmp_path) == []
