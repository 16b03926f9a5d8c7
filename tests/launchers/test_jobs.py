"""Jobs are composed once, each in a folder of its own, and known again by what they are."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
from composing import compose
from hydra_plugins.qvl_torchrun_launcher._errors import LauncherError
from hydra_plugins.qvl_torchrun_launcher._jobs import Job, Task, find_task
from hydra_plugins.qvl_torchrun_launcher._order import expected_seconds, longest_first
from hydra_plugins.qvl_torchrun_launcher._preflight import (
    check_jobs,
    load_function,
    prepare_jobs,
    read_settings,
    refuse_nested,
)
from hydra_plugins.qvl_torchrun_launcher._status import State, Status
from omegaconf import OmegaConf

THREE = [["x=1"], ["x=2"], ["x=3"]]


def left(job: Job, state: State, **values: Any) -> None:
    """Leave a status as an earlier run would."""
    job.folder.mkdir(parents=True, exist_ok=True)
    Status(job.number, job.fingerprint, state=state, attempt=1, **values).write(job.folder)


def test_each_job_has_its_number_its_values_and_its_folder(tmp_path: Path) -> None:
    jobs = compose(tmp_path, THREE, first=5)
    assert [job.number for job in jobs] == [5, 6, 7]
    assert [job.folder for job in jobs] == [tmp_path / "5", tmp_path / "6", tmp_path / "7"]
    assert [job.config.x for job in jobs] == [1, 2, 3]
    assert [job.config.hydra.job.id for job in jobs] == ["5", "6", "7"]
    assert [job.config.hydra.runtime.output_dir for job in jobs] == [str(job.folder) for job in jobs]
    assert jobs[0].overrides == ("x=1",)


def test_the_time_of_the_sweep_is_the_same_for_all_jobs_if_the_sweep_has_asked_for_it(tmp_path: Path) -> None:
    jobs = compose(tmp_path, THREE, "hydra.sweep.subdir=j${hydra.job.num}")
    assert [job.folder.name for job in jobs] == ["j0", "j1", "j2"]


@pytest.mark.parametrize(
    ("subdir", "words"),
    [
        ("../${hydra.job.num}", "leads out of the sweep folder"),
        ("/tmp/${hydra.job.num}", "leads out of the sweep folder"),
        ("a/${hydra.job.num}", "leads out of the sweep folder"),
        (".", "leads out of the sweep folder"),
        ("..", "leads out of the sweep folder"),
        ("''", "leads out of the sweep folder"),
        (".lock", "is kept for other files"),
        ("sweep.json", "is kept for other files"),
        ("same", "share 'same'"),
        ("${x}-${nowhere}", "nowhere"),
        ("'a\nb${hydra.job.num}'", "is no name for a folder"),
        ("x" * 300, "longer than 246 bytes"),
        ("'" + "é" * 150 + "'", "longer than 246 bytes"),
        ("link", "is a link to another place"),
    ],
)
def test_a_folder_elsewhere_or_of_two_jobs_is_refused(tmp_path: Path, subdir: str, words: str) -> None:
    (tmp_path / "link").symlink_to("/tmp")
    with pytest.raises(LauncherError, match="job") as caught:
        compose(tmp_path, THREE[:2], f"hydra.sweep.subdir={subdir}")
    assert words in str(caught.value)


def test_equal_jobs_have_equal_fingerprints_whatever_the_time_and_the_order(tmp_path: Path) -> None:
    first, second = compose(tmp_path, [["x=1", "+a=1", "+b=2"], ["+b=2", "+a=1", "x=1"]])
    other, elsewhere = compose(tmp_path / "later", [["x=2", "+a=1", "+b=2"], ["x=1", "+a=1", "+b=2"]])
    assert first.fingerprint == second.fingerprint == elsewhere.fingerprint != other.fingerprint
    assert len(first.fingerprint) == 64


def test_a_completed_job_is_known_by_its_configuration_not_by_its_number(tmp_path: Path) -> None:
    for job, state in zip(compose(tmp_path, THREE), ("completed", "failed", "running"), strict=True):
        left(job, State(state), return_value=job.number)
    jobs = compose(tmp_path, [["x=9"], ["x=3"], ["x=1"], ["x=2"]])
    assert [job.is_done for job in jobs] == [False, False, True, False]
    assert [job.folder.name for job in jobs] == [f"0-{jobs[0].fingerprint[:8]}", "2", "0", "1"]
    assert jobs[2].earlier is not None and jobs[2].earlier.return_value == 0


def test_without_resume_nothing_is_done_but_folders_stay_with_their_jobs(tmp_path: Path) -> None:
    left(compose(tmp_path, THREE)[1], State.COMPLETED)
    jobs = compose(tmp_path, [["x=2"]], resume=False)
    assert (jobs[0].is_done, jobs[0].folder.name) == (False, "1")


def test_two_equal_jobs_do_not_share_one_result(tmp_path: Path) -> None:
    left(compose(tmp_path, [["x=1"]])[0], State.COMPLETED)
    jobs = compose(tmp_path, [["x=1"], ["x=1"]])
    assert [(job.is_done, job.folder.name) for job in jobs] == [(True, "0"), (False, "1")]


def test_a_later_batch_leaves_the_folders_of_this_run_alone(tmp_path: Path) -> None:
    left(compose(tmp_path, [["x=1"]])[0], State.COMPLETED)
    (job,) = compose(tmp_path, [["x=1"]], first=1, used=["0"])
    assert (job.is_done, job.folder.name) == (False, "1")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"job": 1}', '{"job": 1, "fingerprint": "a", "state": "x"}', '{"job":', "\0"]
)
def test_a_status_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "status.json").write_text(text)
    (job,) = compose(tmp_path, [["x=1"]])
    assert (job.earlier, job.folder.name) == (None, "0")


def module(name: str | None, file: str) -> Any:
    main = types.ModuleType("__main__")
    main.__spec__ = None if name is None else types.SimpleNamespace(name=name)  # type: ignore[assignment]
    main.__file__ = file
    return main


def task() -> None: ...


def test_the_task_is_found_by_the_name_under_which_ranks_import_it() -> None:
    assert find_task(read_settings) == Task("hydra_plugins.qvl_torchrun_launcher._preflight:read_settings")
    main = types.FunctionType(task.__code__, {"__name__": "__main__"}, "main")
    main.__module__, main.__qualname__ = "__main__", "main"
    assert find_task(main, main=module("qvl.train", "train.py")) == Task("qvl.train:main")
    assert find_task(main, main=module(None, "/a/b/my_app.py")) == Task("my_app:main", ("/a/b",))
    with pytest.raises(LauncherError, match=r"hydra\.launcher\.task"):
        find_task(main, main=module(None, "/a/b/my-app.py"))
    with pytest.raises(LauncherError, match=r"hydra\.launcher\.task"):
        find_task(lambda: None)


def test_the_longest_jobs_start_first(tmp_path: Path) -> None:
    jobs = compose(tmp_path, [["x=2", "seconds=1"], ["x=3", "seconds=1"], ["x=1", "seconds=9"]])
    assert [job.number for job in longest_first(jobs, [])] == [0, 1, 2]
    assert [job.number for job in longest_first(jobs, ["x"])] == [1, 0, 2]
    assert [job.number for job in longest_first(jobs, ["x", "seconds"])] == [2, 1, 0]
    jobs = compose(tmp_path, [["x=2", "seconds=-1"], ["x=3", "seconds=-1"]])  # -1: another key decides
    assert [job.number for job in longest_first(jobs, ["x", "seconds"])] == [1, 0]


def test_what_earlier_runs_took_scales_the_guesses(tmp_path: Path) -> None:
    left(compose(tmp_path, [["x=2"]])[0], State.COMPLETED, seconds=20.0)
    jobs = compose(tmp_path, [["x=2"], ["x=5"]])
    assert expected_seconds(jobs, ["x"]) == {0: 20.0, 1: 50.0}
    assert [job.number for job in longest_first(jobs, ["x"])] == [1]  # the other is done


def test_a_key_that_is_no_number_cannot_guess_a_duration(tmp_path: Path) -> None:
    jobs = compose(tmp_path, THREE)
    for key, words in (("text", "'plain', not a number"), ("nowhere.at.all", "nowhere"), ("actions", "not a number")):
        with pytest.raises(LauncherError, match=words):
            longest_first(jobs, [key])


def test_the_check_hears_of_every_job_and_all_findings_are_told(tmp_path: Path) -> None:
    with pytest.raises(LauncherError) as caught:
        check_jobs(compose(tmp_path, THREE), "composing:refuse", processes=2).refuse()
    assert str(caught.value).splitlines()[1:] == [
        "job 0: x is 1, 2 processes",
        "job 2: x is 3, 2 processes",
        "job 2: 2",
    ]


def test_what_all_jobs_share_is_told_once(tmp_path: Path) -> None:
    with pytest.raises(LauncherError) as caught:
        check_jobs(compose(tmp_path, THREE), "composing:refuse_all", processes=1).refuse()
    assert str(caught.value).splitlines() == ["the sweep does not start, 1 finding:", "jobs 0, 1, 2: no such machine"]


@pytest.mark.parametrize("name", ["composing", "composing:nothing", "no.such:thing", "composing:TASK", ":", "a b:c"])
def test_a_function_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(LauncherError, match=r"hydra\.launcher\.check"):
        load_function(name, "hydra.launcher.check")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"on_failure": "explode"}, "expected raise_at_end, stop, continue"),
        ({"fork_server": "maybe"}, "expected auto, on, off"),
        ({"gpus_per_job": 0}, "gpus_per_job is 0, expected 1 or more"),
        ({"gpus_per_job": "all"}, "gpus_per_job is 'all', expected a number or auto"),
        ({"busy_devices": "ignore"}, "expected skip, warn, error"),
        ({"speedup": 0.5}, "speedup is 0.5, expected 1 or more"),
        ({"timeout_min": -1.0}, "expected 0 or more"),
        ({"timeout_min": float("nan")}, "expected 0 or more"),
        ({"gpus": 1}, "there is no key gpus"),
    ],
)
def test_settings_that_cannot_work_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(LauncherError, match=words):
        read_settings(values)


def test_off_in_yaml_is_off() -> None:
    assert read_settings({"fork_server": "False"}).fork_server == "off"
    assert read_settings({}).fork_server == "auto"


@pytest.mark.parametrize("environ", [{"TORCHELASTIC_RUN_ID": "x"}, {"RANK": "0", "WORLD_SIZE": "2"}])
def test_ranks_of_torchrun_cannot_start_a_sweep(environ: dict[str, str]) -> None:
    with pytest.raises(LauncherError, match="gpus_per_job"):
        refuse_nested(environ)
    refuse_nested({"WORLD_SIZE": "2"})


def test_files_of_a_job_hold_its_values_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SECRET", "hush")
    (job,) = compose(tmp_path, [["x=7", "+url=http://${secret}/${now:%f}"]], "+hydra.job.env_copy=[APP_SECRET]")
    prepare_jobs([job], Task("app:main", ("/a",)), make=str)
    written = OmegaConf.load(job.folder / "job.yaml")
    assert (written.task, list(written.path), written.job.x) == ("app:main", ["/a"], 7)
    assert written.hydra.job.num == 0 and written.hydra.runtime.output_dir == str(job.folder)
    assert written.job.url == f"http://hush/{OmegaConf.to_container(written.job)['url'].rpartition('/')[2]}"
    texts = [path.read_text() for path in job.folder.rglob("*") if path.is_file() and path.name != "hydra.yaml"]
    assert len(texts) == 3 and not any("hush" in text for text in texts)
    assert job.config.secret == "hush"  # the mask has left the original alone
