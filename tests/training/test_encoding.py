from __future__ import annotations

import json
import random

import pytest
from PIL import Image

from qvl.conversation import ChatBuilder, SummaryBuilder
from qvl.data import FusionDataset, RowSource, SampleContext
from qvl.errors import HealthError
from qvl.prompts import PromptScheme
from qvl.training.encoding import EncodedDataset

pytestmark = pytest.mark.swift


@pytest.mark.parametrize("images_per_user_turn", [1, 2])
@pytest.mark.parametrize("emit_norm", ["norm1000", "norm100", "none"])
def test_every_turn_passes_all_health_checks(demo_folder, encoder, make_turns, images_per_user_turn, emit_norm):
    from dataclasses import replace

    turns = make_turns(demo_folder / "train.jsonl", images_per_user_turn=images_per_user_turn, emit_norm=emit_norm)
    checked = replace(encoder, form=replace(encoder.form, emit_norm=emit_norm))
    for index in range(len(turns)):
        encoded = checked.encode(turns[index], check=True)
        assert len(encoded["image_grid_thw"]) == len(turns[index].records)
        assert encoded["image_grid_thw"].tolist()[0] == [1, 12, 16]


def test_the_supervised_text_is_the_answer_and_its_end(turns, encoder):
    encoded = encoder.encode(turns[0], check=False)
    supervised = [token for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True) if label != -100]
    assert encoder.template.tokenizer.decode(supervised) == turns[0].answer + "<|im_end|>\n"


def test_a_filler_supervises_nothing_and_sees_the_same_turn(turns, encoder):
    data = EncodedDataset(turns, encoder, check_first=1, check_every=0)
    ticket = turns.plan(0).ticket(1)
    filler, turn = data[ticket._replace(filler=True)], data[ticket]
    assert set(filler["labels"]) == {-100}
    assert filler["input_ids"] == turn["input_ids"] == data[1]["input_ids"]
    assert (filler["num_rows"], turn["num_rows"]) == (0, 2)
    assert filler["channel"] == "train"


def wrong_template(monkeypatch, template, change):
    encode = type(template).encode

    def tampered(self, *args, **kwargs):
        encoded = encode(self, *args, **kwargs)
        change(encoded)
        return encoded

    monkeypatch.setattr(type(template), "encode", tampered)


def lose_a_pad(encoded):
    at = encoded["input_ids"].index(max(set(encoded["input_ids"]), key=encoded["input_ids"].count))
    del encoded["input_ids"][at], encoded["labels"][at]


def supervise_the_prompt(encoded):
    encoded["labels"][3] = encoded["input_ids"][3]


def lose_pixels(encoded):
    encoded["pixel_values"] = encoded["pixel_values"][:-4]


def cut_the_end(encoded):
    del encoded["input_ids"][-2:], encoded["labels"][-2:]


def change_a_digit(encoded):
    at = random.Random(0).choice([i for i, label in enumerate(encoded["labels"]) if label != -100][5:-5])
    encoded["input_ids"][at] = encoded["labels"][at] = encoded["input_ids"][at - 1]


@pytest.mark.parametrize("change", [lose_a_pad, supervise_the_prompt, lose_pixels, cut_the_end, change_a_digit])
def test_a_sample_that_upstream_breaks_stops_the_run(monkeypatch, turns, encoder, change):
    wrong_template(monkeypatch, encoder.template, change)
    with pytest.raises(HealthError, match=r"train\.jsonl:\d+"):
        encoder.encode(turns[0], check=True)


def test_another_normalisation_upstream_stops_the_run(monkeypatch, turns, encoder):
    monkeypatch.setattr(type(encoder.template), "normalize_bbox", lambda self, inputs: None)
    with pytest.raises(HealthError, match="the template normalises"):
        encoder.encode(turns[0], check=True)


def test_numbers_that_are_not_those_of_the_pixels_stop_the_run(turns, encoder):
    turn = turns[0]
    turn.inputs["objects"]["bbox"][0][0] += 9.0
    with pytest.raises(HealthError, match="coordinate_value"):
        encoder.encode(turn, check=True)


def test_the_checks_stop_after_the_first_samples_and_come_back_every_n(monkeypatch, turns, encoder):
    checked = []
    monkeypatch.setattr(type(encoder), "_check", lambda self, turn, *rest: checked.append(turn))
    data = EncodedDataset(turns, encoder, check_first=2, check_every=4)
    for index in (1, 2, 3, 4):
        data[index]
    assert len(checked) == 3


def only_turn(folder, row, builder, form):
    source = RowSource(path=str(folder / "rows.jsonl"), images_per_user_turn=1, builder=builder)
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    return FusionDataset(sources={"rows": source}, context=SampleContext(builder, form, 3))[0]


def test_a_chat_of_several_turns_is_trained_on_its_answers_only(tmp_path, encoder):
    said = [("user", "1+1?"), ("assistant", "It is 2."), ("user", "And 2+2?"), ("assistant", "4")]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    turn = only_turn(tmp_path, row, ChatBuilder(), encoder.form)
    encoded = encoder.encode(turn, check=True)
    assert encoder.chat_tokens(turn.inputs) == len(encoded["input_ids"])
    assert "pixel_values" not in encoded
    first = next(index for index, label in enumerate(encoded["labels"]) if label != -100)
    encoded["labels"][first] = -100
    with pytest.raises(HealthError, match="answer_text"):
        encoder._check(turn, encoded, None)


def test_a_summary_is_trained_on_as_it_stands(tmp_path, encoder):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    row = {"images": ["a.png"], "width": 64, "height": 48, "summary": '{"screws": 3}'}
    turn = only_turn(tmp_path, row, SummaryBuilder(prompts=PromptScheme(user="sum up")), encoder.form)
    encoded = encoder.encode(turn, check=True)
    supervised = [token for token, label in zip(encoded["input_ids"], encoded["labels"], strict=True) if label != -100]
    assert encoder.template.tokenizer.decode(supervised) == '{"screws": 3}<|im_end|>\n'
