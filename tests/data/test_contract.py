from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.data import CONTRACT_NAME, Contract, check_contract, load_contract, model_digest, write_contract
from qvl.errors import CheckpointError

CONTRACT = Contract(
    mode="dense", system="答", user="List.", image_label="图片", emit_norm="norm1000", order="tlbr",
    min_pixels=4096, max_pixels=65536, side_factor=32,
)  # fmt: skip


@given(system=st.text(st.characters(codec="utf-8")), user=st.text(st.characters(codec="utf-8")))
def test_what_is_written_is_read(tmp_path_factory, system, user):
    folder = tmp_path_factory.mktemp("checkpoint")
    written = replace(CONTRACT, system=system, user=user, images_per_user_turn=3)
    write_contract(folder, written)
    assert load_contract(folder) == written


def test_a_contract_agrees_with_itself():
    check_contract(CONTRACT, CONTRACT.form, CONTRACT)


def test_every_difference_is_named():
    other = replace(CONTRACT, user="Name all.", emit_norm="norm100", max_pixels=1024**2)
    with pytest.raises(CheckpointError) as caught:
        check_contract(CONTRACT, other.form, other)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == ["user", "emit_norm", "max_pixels"]
    assert "trained with 'List.', asked for 'Name all.'" in lines[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "video"}, "mode: 'video' is not one of dense, summary, chat"),
        ({"max_pixels": "65536"}, "max_pixels: expected int, got '65536'"),
        ({"side_factor": True}, "side_factor: expected int, got True"),
        ({"colour": 1}, "unexpected keyword argument 'colour'"),
        ({"format": 2}, "format: expected 1, got 2"),
    ],
)
def test_a_contract_of_another_kind_is_refused(tmp_path, change, message):
    write_contract(tmp_path, CONTRACT)
    path = tmp_path / CONTRACT_NAME
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(CheckpointError) as caught:
        load_contract(tmp_path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [(None, "there is no contract"), ("{", "cannot be read"), ("[]", "expected a JSON object")]
)
def test_a_folder_without_a_readable_contract_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / CONTRACT_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message):
        load_contract(tmp_path)


def test_the_digest_of_a_model_changes_with_its_weights_and_not_with_notes(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    before = model_digest(tmp_path)
    write_contract(tmp_path, CONTRACT)
    for name in ("README.md", "optimizer.pt", "trainer_state.json", ".hidden"):
        (tmp_path / name).write_text("note")
    assert model_digest(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"wEights")
    assert model_digest(tmp_path) != before
