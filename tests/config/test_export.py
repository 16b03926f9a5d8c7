"""The verb `qvl.export`."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from verbs import run_verb

from qvl.command import compose
from qvl.data import DemoScenes, load_contract
from qvl.errors import CheckpointError, ConfigError, HealthError, RecordError
from qvl.export import main
from qvl.runtime.checkpoint import verify
from qvl.runtime.part import PART_NAME
from qvl.schema import ExportConfig, register_schema

MODELS = Path(__file__).parents[1] / "models/conftest.py"
OF_TRAINING = {"optimizer.pt", "trainer_state.json"}


@pytest.fixture(scope="module")
def adapters():
    spec = importlib.util.spec_from_file_location("adapter_runs", MODELS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run(adapters, tmp_path_factory) -> Path:
    return adapters.make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "scenes"
    DemoScenes(root=str(root), style="field", seed=3, splits={"val": 3}).prepare()
    return root / "val.jsonl"


def export(*overrides: str) -> None:
    register_schema(ExportConfig, name="export")
    main(compose(overrides, config_name="export"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_adapter_is_handed_on_without_its_training(run, tmp_path, capsys):
    out = tmp_path / "out"
    export(f"checkpoint={run}", f"out={out}")
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "user_prompt.txt"} <= names(out)
    assert not names(out) & OF_TRAINING
    assert verify(out).step == 1
    assert load_contract(out) == load_contract(run / "checkpoint-1")
    assert names(tmp_path) == {"out"}
    shown = capsys.readouterr().out
    assert "step 1: best of the run, 0.5" in shown
    assert f"swift infer --adapters {out}" in shown


@pytest.mark.swift
def test_merged_weights_are_compared_row_by_row_and_told_in_the_card(run, rows, tmp_path, capsys):
    from transformers import AutoProcessor

    out = tmp_path / "out"
    export(f"checkpoint={run}", f"out={out}", "merge=true", f"check={rows}", "check_rows=3", "metric=last")
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names(out)
    assert not names(out) & {*OF_TRAINING, "adapter_config.json"}
    assert verify(out).step == 2
    size = AutoProcessor.from_pretrained(out).image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (4096, 65536)
    told = "2 user turns: text, tokens and pixels are the same bytes"
    assert told in capsys.readouterr().out
    assert told in (out / "README.md").read_text(encoding="utf-8")


@pytest.mark.swift
def test_a_part_is_always_made_whole(adapters, rows, tmp_path, capsys):
    from transformers import AutoModelForImageTextToText

    out = tmp_path / "out"
    adapters.seal_part(tmp_path / "run/checkpoint-1", contract=adapters.contract())
    export(f"checkpoint={tmp_path / 'run'}", f"out={out}", f"check={rows}", "check_rows=1")
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names(out)
    assert not names(out) & {*OF_TRAINING, PART_NAME}
    part, whole = load_file(tmp_path / "run/checkpoint-1" / PART_NAME), load_file(out / "model.safetensors")
    assert all((whole[name] == value).all() for name, value in part.items())
    _, report = AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not any(report.values())
    shown = capsys.readouterr().out
    assert f"swift infer --model {out}" in shown
    assert "1 user turns: text, tokens and pixels are the same bytes" in shown


@pytest.mark.swift
def test_a_prompt_that_would_be_another_stops_the_export(adapters, rows, tmp_path):
    base, out = tmp_path / "base", tmp_path / "out"
    shutil.copytree(adapters.TINY, base)
    template = base / "chat_template.jinja"
    template.write_text(template.read_text(encoding="utf-8").replace("assistant", "helper"), encoding="utf-8")
    adapters.seal_adapter(tmp_path / "checkpoint-1", contract=adapters.contract(base_digest=""))
    with pytest.raises(HealthError, match=r"val\.jsonl:1.*: text: training and transformers differ: at character"):
        export(f"checkpoint={tmp_path / 'checkpoint-1'}", f"base={base}", f"out={out}", "merge=true", f"check={rows}")
    assert names(tmp_path) == {"base", "checkpoint-1"}, "nothing is left behind"


def test_nothing_is_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        export(f"checkpoint={run}", f"out={tmp_path / 'out'}")
    with pytest.raises(ConfigError, match="there is no folder"):
        export(f"checkpoint={run}", f"out={tmp_path / 'no' / 'out'}")


def test_a_failed_export_leaves_nothing(run, tmp_path):
    with pytest.raises(CheckpointError, match="answer otherwise"):
        export(f"checkpoint={run}", f"out={tmp_path / 'out'}", "merge=true", "tolerance=0")
    assert names(tmp_path) == set()


def test_rows_that_cannot_be_used_are_named(run, tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps({"images": ["gone.png"]}) + "\n", encoding="utf-8")
    with pytest.raises(RecordError, match=r"rows\.jsonl:1"):
        export(f"checkpoint={run}", f"out={tmp_path / 'out'}", f"check={tmp_path / 'rows.jsonl'}")


def test_the_command_line_tells_mistakes_in_a_line(tmp_path):
    done = run_verb("export", "checkpoint=gone", "out=there", "dtype=int8", cwd=tmp_path)
    assert done.returncode == 2
    assert "dtype: 'int8' is not one of auto, float32, bfloat16, float16" in done.stderr
