from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import AutoProcessor

from qvl.errors import CheckpointError
from qvl.models import find_base, merge_adapter, merge_part, plain_prompt, probe_messages
from qvl.runtime.part import put_part

TINY = Path(__file__).parents[2] / "qvl/models/tiny_checkpoint"


@pytest.fixture
def probes(make_contract):
    from qvl.models import resolve_model

    contract = make_contract()
    processor = AutoProcessor.from_pretrained(resolve_model("qvl://tiny", run_folder=Path(), prompts=(), seed=0))
    return [plain_prompt(processor, one, contract.form).inputs for one in probe_messages(contract)]


def merge(checkpoint, out, probes, *, dtype="auto", tolerance=1e-5, contract):
    base = find_base(checkpoint, contract)
    return merge_adapter(checkpoint, out, base=base, probes=probes, dtype=dtype, tolerance=tolerance)


def test_merged_weights_answer_like_the_adapter(adapter_run, tmp_path, probes, make_contract):
    report = merge(adapter_run / "checkpoint-1", tmp_path / "out", probes, contract=make_contract())
    assert report.dtype == "float32"
    assert 0 < report.difference <= 1e-5
    assert 0 < report.written_difference <= 1e-5
    assert json.loads((tmp_path / "out/config.json").read_text())["tie_word_embeddings"] is True


def test_dora_is_merged_too_and_half_precision_is_told(make_adapter, tmp_path, probes, make_contract):
    make_adapter(tmp_path / "adapter", dora=True)
    report = merge(tmp_path / "adapter", tmp_path / "out", probes, dtype="bfloat16", contract=make_contract())
    assert report.difference <= 1e-5 < report.written_difference < 0.1
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert [part["dtype"] for part in (config, config["text_config"], config["vision_config"])] == ["bfloat16"] * 3


def test_a_difference_over_the_tolerance_is_refused(adapter_run, tmp_path, probes, make_contract):
    with pytest.raises(CheckpointError, match="answer otherwise than what was trained"):
        merge(adapter_run / "checkpoint-1", tmp_path / "out", probes, tolerance=0, contract=make_contract())


def test_another_base_model_is_refused(adapter_run, make_contract):
    other = replace(make_contract(), base_digest="0" * 64)
    with pytest.raises(CheckpointError, match=r"was trained on a model with digest 0000.*name the right one by base="):
        find_base(adapter_run / "checkpoint-1", other)


def test_the_base_of_an_adapter_that_was_moved_is_found_by_the_contract(adapter_run, tmp_path, make_contract):
    moved = shutil.copytree(adapter_run / "checkpoint-1", tmp_path / "moved")
    path = moved / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "base_model_name_or_path": "/another/machine"}))
    assert find_base(moved, make_contract()).endswith("tiny_checkpoint")
    gone = make_contract(base_model="/another/machine")
    with pytest.raises(CheckpointError, match=r"not at hand, name it by base=.*no such folder: /another/machine"):
        find_base(moved, gone)


def test_new_weights_are_not_made_anew(adapter_run, tmp_path, make_contract):
    moved = shutil.copytree(adapter_run / "checkpoint-1", tmp_path / "moved")
    (moved / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/run/random_init"}))
    with pytest.raises(CheckpointError, match="new weights in the folder of its run, name it by base="):
        find_base(moved, make_contract(base_model="qvl://tiny-random"))


def test_a_precision_that_does_not_exist_is_refused(adapter_run, tmp_path, probes, make_contract):
    with pytest.raises(ValueError, match="dtype must be one of auto"):
        merge(adapter_run / "checkpoint-1", tmp_path / "out", probes, dtype="int8", contract=make_contract())


def logits(folder, probes, *, part=None):
    import torch
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    if part is not None:
        put_part(part, model)
    with torch.inference_mode():
        return model(**dict(probes[0])).logits


def test_a_part_becomes_a_whole_model_that_answers_as_the_part_does(part_run, tmp_path, probes, make_contract):
    import torch

    part, base = part_run / "checkpoint-1", find_base(part_run / "checkpoint-1", make_contract())
    report = merge_part(part, tmp_path / "out", base=base, probes=probes, dtype="auto", tolerance=0)
    assert (report.difference, report.written_difference, report.dtype) == (0, 0, "float32")
    whole = logits(tmp_path / "out", probes)
    assert torch.equal(whole, logits(base, probes, part=part))
    assert not torch.equal(whole, logits(base, probes))


def test_a_part_of_a_bfloat16_model_is_rounded_once(make_part, tmp_path, probes, make_contract):
    import torch
    from transformers import AutoModelForImageTextToText

    plain = AutoModelForImageTextToText.from_pretrained(TINY, dtype=torch.bfloat16)
    shutil.copytree(TINY, tmp_path / "base")
    plain.save_pretrained(tmp_path / "base")
    part, out = tmp_path / "run/checkpoint-1", tmp_path / "out"
    make_part(part, base=tmp_path / "base", contract=make_contract())
    settings = {"probes": probes, "dtype": "auto", "tolerance": 1e-5}
    report = merge_part(part, out, base=str(tmp_path / "base"), **settings)
    assert report.dtype == "bfloat16"
    assert 0 < report.written_difference < 0.1
    put_part(part, plain)
    written = AutoModelForImageTextToText.from_pretrained(out).state_dict()
    assert all(torch.equal(value, written[name]) for name, value in plain.state_dict().items())
    config = json.loads((out / "config.json").read_text())
    assert [one["dtype"] for one in (config, config["text_config"], config["vision_config"])] == ["bfloat16"] * 3


def test_a_part_on_another_base_model_is_refused(part_run, make_contract):
    with pytest.raises(CheckpointError, match=r"was trained on a model with digest 0000.*name the right one by base="):
        find_base(part_run / "checkpoint-1", replace(make_contract(), base_digest="0" * 64))


def test_no_other_program_takes_a_part_for_a_model(part_run):
    from transformers import AutoConfig, AutoModelForImageTextToText

    for load in (AutoConfig, AutoModelForImageTextToText):
        with pytest.raises((OSError, ValueError), match=r"config\.json|Unrecognized model"):
            load.from_pretrained(part_run / "checkpoint-1")
