"""What `make demo` promises, on the shipped model and the demo scenes, and what comes after it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.swift]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHORTER = ("training.num_train_epochs=8", "training.effective_batch_size=16")
"""24 steps of 16 turns, where `make demo` takes 40 of 32: half of the time, two thirds of the rise."""


@pytest.fixture(scope="module")
def demo(forked: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder where the demo was trained, and what the command said."""
    folder = tmp_path_factory.mktemp("demo")
    done = forked("qvl.train", "+recipe=stage2_lora", "hydra.run.dir=run", *SHORTER, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stdout


@pytest.fixture(scope="module")
def evaluated(forked: Callable[..., Any], demo: tuple[Path, str]) -> Path:
    """The folder of an evaluation of the trained model on the validation rows."""
    folder, _ = demo
    rows = f"pictures={folder}/multirun_outputs/data/demo/val.jsonl"
    begun = time.monotonic()
    done = forked("qvl.evaluate", "model=run", rows, "out=evaluation", cwd=folder)
    assert done.returncode == 0, done.output[-3000:]
    assert time.monotonic() - begun < 120
    return folder / "evaluation"


def measured(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_stage_2_raises_the_score_on_scenes_that_the_shipped_model_never_saw(demo):
    folder, said = demo
    metrics = measured(folder / "run" / "metrics.json")
    before, after = metrics["before"], metrics["after"]
    assert after["detection/f1_50"] >= before["detection/f1_50"] + 0.1
    assert after["loss"] < before["loss"]
    assert after["detection/rate_faulty"] <= 0.1
    assert "look at it   python -m qvl.visualize predictions=" in said


def test_an_evaluation_of_the_trained_model_finds_what_the_training_said(demo, evaluated):
    after = measured(demo[0] / "run" / "metrics.json")["after"]
    found = measured(evaluated / "metrics.json")
    names = ("detection/f1_50", "detection/precision_50", "detection/recall_50", "detection/rate_faulty")
    assert {name: found["figures"][name] for name in names} == {name: after[name] for name in names}


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_report_of_the_evaluation_opens_in_a_browser(evaluated):
    sync_api = pytest.importorskip("playwright.sync_api")
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto((evaluated / "report.html").as_uri())
        assert page.locator("section:visible").count() > 0
        browser.close()
    assert said == []
