"""Jobs for the tests of the launcher; their processes find the launcher and the toy tasks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

HERE = Path(__file__).parent
FOLDERS = [str(HERE.parents[1] / "launchers"), str(HERE)]

MakeJob = Callable[..., Path]


def pytest_configure() -> None:
    """Let the test modules of this folder import the launcher and `toy_task`."""
    sys.path[:0] = [folder for folder in FOLDERS if folder not in sys.path]


@pytest.fixture(scope="session", autouse=True)
def importable() -> Iterator[None]:
    """Let processes that the tests start import the same."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*FOLDERS, *([before] if before else [])])
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """Return a maker of job files: `make_job("toy_task:double", value=2)`, in a folder of its own each."""

    def make(task: str, *, folder: str = "0", hydra_job: dict[str, object] | None = None, **config: object) -> Path:
        path = tmp_path / folder / "job.yaml"
        path.parent.mkdir(parents=True)
        content = {"task": task, "job": config, "hydra": hydra_node(path.parent, hydra_job or {})}
        OmegaConf.save(OmegaConf.create(content), path)
        return path

    return make


def hydra_node(folder: Path, job: dict[str, object]) -> dict[str, object]:
    """Return the part of Hydra's node that a worker needs."""
    log = str(folder / "toy.log")
    handler = {"class": "logging.FileHandler", "filename": log, "formatter": "simple"}
    return {
        "runtime": {"version": "1.3", "version_base": "1.3", "cwd": os.getcwd(), "output_dir": str(folder)},
        "job": {"name": "toy", "chdir": False, "num": 3, "id": "3", "config_name": "toy", **job},
        "overrides": {"hydra": [], "task": ["value=2"]},
        "job_logging": {
            "version": 1,
            "formatters": {"simple": {"format": "%(levelname)s %(message)s"}},
            "handlers": {"file": handler},
            "root": {"level": "INFO", "handlers": ["file"]},
        },
        "verbose": False,
    }
