"""A folder that was used before: the same run, or a mistake."""

from __future__ import annotations

import pytest
import yaml

from qvl.errors import ConfigError
from qvl.training import TrainingResult, earlier_result, write_result

RESULT = TrainingResult({"loss": 2.0}, {"loss": 1.0}, "run/checkpoint-9", None, 9)


def text(**training: object) -> str:
    return yaml.safe_dump({"seed": 17, "training": {"learning_rate": 0.1, "resume_from_checkpoint": None, **training}})


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.yaml").write_text(text())
    return tmp_path


def test_a_finished_run_gives_its_result_again(run):
    assert earlier_result(run, text()) is None
    write_result(run, RESULT)
    assert earlier_result(run, text()) == RESULT
    assert earlier_result(run, text(resume_from_checkpoint="latest")) == RESULT


@pytest.mark.parametrize("finished", [True, False])
def test_another_configuration_is_refused_with_what_differs(run, finished):
    if finished:
        write_result(run, RESULT)
    else:
        (run / "checkpoint-3").mkdir()
    with pytest.raises(ConfigError) as caught:
        earlier_result(run, text(learning_rate=0.5, extra={"optim": "sgd"}))
    assert "training.extra.optim: it was None, now it is 'sgd'" in str(caught.value)
    assert "training.learning_rate: it was 0.1, now it is 0.5" in str(caught.value)
    assert "seed" not in str(caught.value)


def test_a_run_that_came_to_nothing_may_be_anything(run, tmp_path):
    assert earlier_result(run, text(learning_rate=0.5)) is None
    assert earlier_result(tmp_path / "new", text()) is None


def test_secrets_that_were_masked_are_no_difference(run, monkeypatch):
    monkeypatch.setenv("HUB_TOKEN", "hf-secret-value")
    (run / "config.yaml").write_text(text(note="<redacted>"))
    write_result(run, RESULT)
    assert earlier_result(run, text(note="hf-secret-value")) == RESULT
