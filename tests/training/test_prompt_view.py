"""What `debug=show_prompt` prints, and that it trains and keeps nothing."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from qvl import train
from qvl.errors import ConfigError

pytestmark = pytest.mark.swift
SYSTEM, USER = "You annotate pictures.", "List every object."


def test_the_parts_of_a_turn_add_up_to_its_length(encoder, turns):
    from qvl.training import view_turn

    turn = turns[0]
    view = view_turn(turn, encoder)
    assert sum(view.parts.values()) == view.length == len(encoder.encode(turn, check=False)["input_ids"])
    assert view.parts["system prompt"] == encoder.text_tokens(SYSTEM)
    assert view.parts["answer"] == encoder.text_tokens(turn.answer)
    sizes = [picture.size for picture in turn.pictures]
    assert [view.parts[f"picture {number}"] for number in (1, 2)] == [encoder.picture_tokens(*size) for size in sizes]
    labels = encoder.text_tokens("图片_1: ") + encoder.text_tokens("图片_2: ")
    assert view.parts["user text"] == labels + encoder.text_tokens(USER)
    assert list(view.parts) == ["system prompt", "picture 1", "picture 2", "user text", "answer", "template marks"]


def test_a_conversation_without_pictures_is_taken_apart_too(encoder):
    from qvl.conversation import ChatBuilder
    from qvl.data import Turn
    from qvl.records import Record, Source
    from qvl.training import view_turn

    said = [("user", "1+1?"), ("assistant", "2"), ("user", "\n\n2+2?"), ("assistant", "4, of course")]
    messages = tuple({"role": role, "content": text} for role, text in said)
    record = Record(images=(), objects=(), width=0, height=0, source=Source("chat.jsonl", 1), messages=messages)
    view = view_turn(Turn((record,), (), ChatBuilder().build(record), "chat", "chat"), encoder)
    assert sum(view.parts.values()) == view.length
    assert view.parts["answer"] == encoder.text_tokens("2") + encoder.text_tokens("4, of course")
    assert [item.text.strip() for item in view.passages if item.trained] == ["2<|im_end|>", "4, of course<|im_end|>"]


def test_the_printed_view_says_how_much_of_the_limit_is_used(encoder, turns):
    from qvl.training import render_view, view_turn

    view = view_turn(turns[1], encoder)
    out = io.StringIO()
    Console(file=out, width=100).print(render_view(view, limit=view.length * 4), soft_wrap=True)
    text = out.getvalue()
    assert f"{view.length} of {view.length * 4} tokens of global_max_length, 25.0%" in text
    assert "<|image_pad|> x 48" in text
    assert USER in text
    assert turns[1].answer in text


@pytest.fixture
def typed(monkeypatch, tmp_path, demo_folder, tiny_folder):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    rows = f"data.train.path={demo_folder / 'train.jsonl'}"
    common = ["recipe=stage2_lora", "debug=show_prompt", "data.prepare=null", rows, "data.val=null"]

    def start(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["qvl-train", *common, f"model.path={tiny_folder}", *words])
        train.cli()

    return start


def test_the_command_prints_a_turn_and_leaves_no_run_behind(typed, tmp_path, tiny_folder, capsys, monkeypatch):
    monkeypatch.setattr("safetensors.safe_open", None)  # whoever opens weights fails
    typed("show_prompt=2", "prompts.user=What is there?")
    text = capsys.readouterr().out
    assert "What is there?" in text
    assert "of 10000 tokens of global_max_length" in text
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} <= {
        "multirun_outputs",
        "multirun_outputs/cache",
        "multirun_outputs/cache/index",
    } | {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("multirun_outputs/cache/index/*")}


def test_a_turn_that_is_not_there_is_told(typed, capsys):
    with pytest.raises(SystemExit) as stop:
        typed("show_prompt=5")
    assert stop.value.code == 2
    assert "there is no user turn 5, the last one is 4" in capsys.readouterr().err


def test_a_sweep_has_nothing_to_show():
    with pytest.raises(ConfigError, match="show_prompt: shows one configuration"):
        train.main(SimpleNamespace(show_prompt=0, plan=SimpleNamespace(show=False)))
