from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PIL import Image

from qvl.augmentation import Compose, HorizontalFlip
from qvl.conversation import DenseBuilder
from qvl.data import AddSummary, KeepAll
from qvl.prompts import PromptScheme
from qvl.training import kept_lengths
from qvl.training.kept_lengths import count_rows

pytestmark = pytest.mark.swift


@pytest.fixture
def counted(monkeypatch):
    """Line numbers of the rows that were counted."""
    lines: list[int] = []
    row_tokens = kept_lengths.row_tokens

    def noted(part, encoder, record):
        lines.append(record.source.line)
        return row_tokens(part, encoder, record)

    monkeypatch.setattr(kept_lengths, "row_tokens", noted)
    return lines


@pytest.fixture
def part(tmp_path, make_turns):
    def make(*, desc: str = "screw", **options: object):
        Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
        row = {"images": ["a.png"], "objects": [{"desc": desc, "bbox_2d": [0, 0, 9, 9]}], "width": 64, "height": 64}
        (tmp_path / "rows.jsonl").write_text(f"{json.dumps(row)}\n" * 5)
        part = make_turns(tmp_path / "rows.jsonl", **options).parts[0]
        part.rows.cache = tmp_path / "cache"
        return part

    return make


def test_the_second_run_counts_nothing(part, encoder, counted):
    first = count_rows(part(desc="screw, left", augmentation=Compose(transforms={"hflip": HorizontalFlip()})), encoder)
    again = count_rows(
        part(desc="screw, left", augmentation=Compose(p=0.25, transforms={"hflip": HorizontalFlip()})), encoder
    )
    assert counted == [1, 2, 3, 4, 5]
    assert first.pairs.tolist() == again.pairs.tolist()
    assert first.refused == again.refused == {"hflip": 5}


class Longer(DenseBuilder):
    def answer_to_count(self, record):
        return super().answer_to_count(record) + " and more"


def changed_row(part, encoder):
    return part(desc="bolt"), encoder  # as many bytes: the content counts


def changed_builder(part, encoder):
    return part(emit_norm="none"), encoder


def changed_prompt(part, encoder):
    made = part()
    made.builder = DenseBuilder(prompts=PromptScheme(user="What is there?"))
    return made, encoder


def changed_limit_of_pixels(part, encoder):
    return part(), replace(encoder, form=replace(encoder.form, max_pixels=32768))


def changed_preprocessor(part, encoder):
    made = part()
    made.rows.preprocessor = AddSummary()
    return made, encoder


def changed_transforms(part, encoder):
    return part(augmentation=Compose(transforms={"hflip": HorizontalFlip()})), encoder


def fewer_rows(part, encoder):
    made = part()
    made.rows.limit(4)
    return made, encoder


CHANGES = (
    *(changed_row, changed_builder, changed_prompt, changed_limit_of_pixels),
    *(changed_preprocessor, changed_transforms, fewer_rows),
)


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_the_counts_depend_on_is_seen(part, encoder, counted, change):
    count_rows(part(desc="nuts"), encoder)
    made, other = change(lambda **options: part(**{"desc": "nuts", **options}), encoder)
    count_rows(made, other)
    assert len(counted) == 5 + len(made.rows)


def test_another_tokenizer_is_seen(part, encoder, counted, tiny_folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    before = kept_lengths._tokenizer_digest(tokenizer)
    assert before == kept_lengths._tokenizer_digest(AutoTokenizer.from_pretrained(tiny_folder))
    tokenizer.add_tokens(["screw"])
    assert kept_lengths._tokenizer_digest(tokenizer) != before


def test_what_a_class_from_outside_makes_is_counted_in_each_run(part, encoder, counted):
    for _ in range(2):
        made = part()
        made.builder = Longer(prompts=made.builder.prompts)
        count_rows(made, encoder)
    assert len(counted) == 10
    assert kept_lengths._state([KeepAll(), {"a": [1.5, "b"]}]) is not None
    assert kept_lengths._state(lambda: None) is None


def test_damaged_counts_are_told_of_and_made_again(part, encoder, counted, tmp_path, caplog):
    count_rows(part(), encoder)
    [kept] = (tmp_path / "cache" / "lengths").iterdir()
    kept.write_bytes(kept.read_bytes()[:-3] + b"abc")
    for _ in range(2):
        count_rows(part(), encoder)
    assert len(counted) == 10
    assert "is damaged; it is computed again" in caplog.text


def test_the_number_of_processes_does_not_matter(demo_folder, encoder, make_turns, monkeypatch):
    made = make_turns(demo_folder / "train.jsonl").parts[0]
    alone = count_rows(made, encoder)
    monkeypatch.setattr(kept_lengths, "_BLOCK", 2)
    monkeypatch.setattr(kept_lengths, "_FEW", 2)
    monkeypatch.setattr(kept_lengths, "cpus_of_process", lambda: 2)
    assert count_rows(made, encoder).pairs.tolist() == alone.pairs.tolist()
