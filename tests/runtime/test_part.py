from __future__ import annotations

import pytest

from qvl.errors import CheckpointError
from qvl.runtime.part import PART_NAME, base_of_part, holds_part, names_of_part, put_part, write_part


def model(dtype="float32"):
    import torch
    from torch import nn

    torch.manual_seed(3)
    return nn.ModuleDict({"tower": nn.Linear(4, 3), "merger": nn.Linear(3, 2)}).to(getattr(torch, dtype))


def merger(source):
    return {name: value + 1e-4 for name, value in source.named_parameters() if name.startswith("merger")}


def test_a_part_takes_its_places_and_nothing_else_changes(tmp_path):
    import torch

    source, target = model(), model()
    write_part(tmp_path, merger(source), base="Qwen/any")
    assert holds_part(tmp_path)
    assert base_of_part(tmp_path) == "Qwen/any"
    assert names_of_part(tmp_path) == {"merger.weight", "merger.bias"}
    put_part(tmp_path, target)
    assert all(torch.equal(value, merger(source)[name]) for name, value in target.merger.named_parameters("merger"))
    assert torch.equal(target.tower.weight, source.tower.weight)
    assert target.merger.weight.requires_grad


def test_a_narrower_model_takes_rounded_weights_but_a_run_does_not_go_on_with_them(tmp_path):
    import torch

    source, target = model(), model("bfloat16")
    write_part(tmp_path, merger(source), base="")
    put_part(tmp_path, target)
    assert torch.equal(target.merger.weight, merger(source)["merger.weight"].bfloat16())
    with pytest.raises(
        CheckpointError, match=r"merger.bias is float32, here bfloat16 is trained; go on as the run was"
    ):
        put_part(tmp_path, target, exactly={"merger.weight", "merger.bias"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"other.weight": (2, 3)}, "other.weight and 0 more"),
        ({"merger.weight": (3, 2)}, r"merger.weight has shape \(3, 2\), in the model here \(2, 3\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_changed(tmp_path, changes, words):
    import torch

    target = model()
    before = target.merger.bias.clone()
    write_part(tmp_path, {**merger(target), **{name: torch.ones(shape) for name, shape in changes.items()}}, base="")
    with pytest.raises(CheckpointError, match=words):
        put_part(tmp_path, target)
    assert torch.equal(target.merger.bias, before)


def test_a_run_that_trains_other_weights_is_refused(tmp_path):
    source = model()
    write_part(tmp_path, merger(source), base="")
    with pytest.raises(CheckpointError, match=r"other weights than the model here: merger.bias and 0 more"):
        put_part(tmp_path, source, exactly={"merger.weight"})


def test_numbers_that_are_no_fractions_and_weights_that_are_not_in_memory_are_refused(tmp_path):
    source = model()
    write_part(tmp_path, {"merger.bias": source.merger.bias.int()}, base="")
    with pytest.raises(CheckpointError, match=r"merger.bias is I32"):
        put_part(tmp_path, source)
    write_part(tmp_path, merger(source), base="")
    with pytest.raises(CheckpointError, match=r"a model that is not in memory"):
        put_part(tmp_path, model().to("meta"))


def test_a_file_that_is_no_safetensors_or_names_no_base_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file(merger(model()), tmp_path / PART_NAME)
    with pytest.raises(CheckpointError, match="does not say which model it belongs to"):
        base_of_part(tmp_path)
    (tmp_path / PART_NAME).write_bytes(b"not tensors")
    with pytest.raises(CheckpointError, match=f"{PART_NAME}: cannot be read"):
        put_part(tmp_path, model())
