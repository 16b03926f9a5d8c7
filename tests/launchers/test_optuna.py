"""Optuna drives the launcher: trials side by side, failing trials, a study that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from sweeps import Ended, run, settings

from qvl.command import compose
from qvl.schema import config_dir, register_schema

STUDY = ["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.sampler.seed=3"]
SPACE = [*STUDY, "x=range(1,9)", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", *settings(cpu_processes=2)]


def study(folder: Path, *overrides: str) -> Ended:
    return run(folder, *SPACE, *overrides)


def values(done: Ended) -> list[int]:
    """Return the x of every trial."""
    return [int(done.status(str(number))["overrides"][0].removeprefix("x=")) for number in range(4)]


def best(done: Ended) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((done.folder / "optimization_results.yaml").read_text())
    return found


@pytest.mark.slow
def test_a_failing_trial_does_not_end_the_study_and_the_same_command_goes_on(tmp_path: Path) -> None:
    rest = ["+actions={7:fail}", "hydra.sweeper.max_failure_rate=0.9"]
    done = study(tmp_path, *rest)
    tried = values(done)
    assert done.code == 0
    assert 7 in tried
    assert [done.states()[str(number)] for number in range(4)] == ["failed" if x == 7 else "completed" for x in tried]
    assert "Failed experiment: job" in done.out
    top = max(x for x in tried if x != 7)
    assert best(done)["best_params"] == {"x": top}
    assert best(done)["best_value"] == 2 * top

    again = study(tmp_path, *rest)
    assert values(again) == tried
    assert best(again) == best(done)
    # results are taken from the first run, and so lead to the same trials
    starts = [len(again.starts(str(number))) for number in range(4)]
    assert starts == [2 if x == 7 else 1 for x in tried]


def test_a_batch_of_failures_ends_the_study(tmp_path: Path) -> None:
    done = study(tmp_path, "action=fail", "hydra.sweeper.max_failure_rate=0.9", "hydra.sweeper.n_jobs=1")
    assert done.code == 1
    assert done.states() == {"0": "failed"}
    assert "ValueError: boom on rank 0" in done.out


@pytest.mark.filterwarnings("ignore:The ``declarative_base")  # Optuna 2 with SQLAlchemy 2
def test_the_search_composes_and_every_corner_of_it_passes_the_checks() -> None:
    from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides

    register_schema()
    words = ["recipe=stage2_lora", "hparams_search=optuna"]
    assert compose(words).optimized_metric == "detection/f1_50"
    content = yaml.safe_load((config_dir() / "hparams_search/optuna.yaml").read_text())
    space, fixed = create_params_from_overrides([f"{key}={value}" for key, value in searched(content).items()])
    assert len(space) == 3
    assert fixed == {}
    for corner in (0, -1):
        values = {key: corners(distribution)[corner] for key, distribution in space.items()}
        cfg = compose([*words, *(f"{key}={value}" for key, value in values.items())])
        assert {key: OmegaConf.select(cfg, key) for key in values} == {
            key: float(value) for key, value in values.items()
        }


def searched(content: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = content["hydra"]["sweeper"]["params"]
    return found


def corners(distribution: Any) -> list[Any]:
    return list(getattr(distribution, "choices", None) or (distribution.low, distribution.high))
