from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from qvl.models import MergeReport, ModelCard, render_card, run_facts, use_commands


def card(contract, facts, **changes) -> str:
    values = {"name": "cabinets", "contract": contract, "chosen": "1: best", "facts": facts, "is_adapter": False}
    return render_card(ModelCard(**{**values, **changes}))


def test_the_card_tells_prompts_recipe_data_scores_and_checks(adapter_run, make_contract):
    merge = MergeReport(1e-6, 2e-6, 20.0, "float32")
    text = card(make_contract(), run_facts(adapter_run), merge=merge, agreement="4 user turns: the same")
    heading = yaml.safe_load(text.split("---\n")[1])
    assert heading["base_model"] == "qvl://tiny"
    assert heading["base_model_relation"] == "finetune"
    for part in (
        "    List every object.", "    You annotate pictures.", "4096 to 65536 pixels",
        "    python -m qvl.train +recipe=stage2_lora\n",
        "| train.jsonl | 8 | `a1b2` |", "| loss | 1.0000 | 0.5000 |", "| F1@0.5 | - | 0.2500 |",
        "1e-06 of the largest logit, as written 2e-06", "4 user turns: the same",
    ):  # fmt: skip
        assert part in text
    assert "/data/" not in text, "folders of the machine stay at home"


def test_a_checkpoint_without_a_run_has_a_card_of_its_contract(make_contract):
    text = card(make_contract(system=""), run_facts(None), is_adapter=True)
    assert "base_model_relation: adapter" in text
    assert "(none)" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == ["## Use"]


def test_servers_listen_on_this_machine_only_and_limits_are_those_of_training(make_contract):
    commands = use_commands(Path("/my models/x"), make_contract(), is_adapter=False)
    assert [shlex.split(command.partition(" swift ")[2] or command)[0] for command in commands] == [
        "infer",
        "deploy",
        "vllm",
    ]
    assert all("--host 127.0.0.1" in command for command in commands[1:])
    assert all(command.startswith("IMAGE_MIN_TOKEN_NUM=4 IMAGE_MAX_TOKEN_NUM=64 ") for command in commands[:2])
    assert "'/my models/x'" in commands[2]


def test_an_adapter_is_not_served_by_vllm(make_contract):
    commands = use_commands(Path("x"), make_contract(), is_adapter=True)
    assert all("--adapters x" in command for command in commands)
    assert not any("vllm" in command for command in commands)
