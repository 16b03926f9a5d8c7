from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qvl.data import Contract, write_contract
from qvl.errors import CheckpointError, ConfigError
from qvl.inference import agree
from qvl.prompts import PromptScheme

CONTRACT = Contract(
    mode="dense", system="s", user="u", image_label="图片", emit_norm="norm1000", order="tlbr",
    min_pixels=1024, max_pixels=4096, side_factor=32,
)  # fmt: skip
SAME = PromptScheme(system="s", user="u")
OTHER = PromptScheme(user="something else")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_contract(tmp_path, CONTRACT)
    return tmp_path


def test_a_model_is_asked_what_it_was_trained_for(folder: Path) -> None:
    assert agree(folder, mode=None, prompts=None, form={}) == CONTRACT
    assert agree(folder, mode="dense", prompts=SAME, form={"emit_norm": "norm1000", "order": None}) == CONTRACT


@pytest.mark.parametrize(
    ("prompts", "form", "told"),
    [(OTHER, {}, "something else"), (None, {"emit_norm": "norm100"}, "norm100"), (SAME, {"max_pixels": 9999}, "9999")],
)
def test_anything_else_is_refused_with_both_values(folder: Path, prompts, form, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        agree(folder, mode=None, prompts=prompts, form=form)


def test_another_mode_needs_prompts_of_its_own(folder: Path) -> None:
    with pytest.raises(ConfigError, match="add prompts=NAME"):
        agree(folder, mode="summary", prompts=None, form={})
    assert agree(folder, mode="summary", prompts=OTHER, form={}) == replace(
        CONTRACT, mode="summary", system="", user="something else"
    )


def test_without_a_contract_everything_has_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"prompts=NAME form\.emit_norm=VALUE .* form\.max_pixels=VALUE"):
        agree(tmp_path, mode=None, prompts=None, form={"emit_norm": None})
    said = {"emit_norm": "norm1000", "min_pixels": 1024, "max_pixels": 4096}
    assert agree(None, mode=None, prompts=SAME, form=said) == CONTRACT
    with pytest.raises(ConfigError, match=r"form\.emit_norm: 'norm7'"):
        agree(None, mode=None, prompts=SAME, form={**said, "emit_norm": "norm7"})


def test_a_mode_that_does_not_exist_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="mode: 'chat' is not one of dense, summary"):
        agree(folder, mode="chat", prompts=None, form={})
