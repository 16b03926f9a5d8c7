from __future__ import annotations

import copy
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from qvl.training.patches import (
    Normalisation,
    RawPatches,
    SharedPicture,
    cut_patches,
    has_raw_form,
    normalise_on_device,
    raw_patches,
    share_pictures,
)

pytestmark = pytest.mark.swift


@pytest.fixture
def processor(template):
    return template.processor.image_processor


def picture(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encode(encoder, turn, *, raw):
    with raw_patches(encoder.template) if raw else nullcontext():
        return encoder.encode(turn, check=True)


@pytest.fixture(autouse=True)
def template_knows_the_model(monkeypatch, template, tiny_model):
    """Upstream asks the model for positions when it puts a batch together."""
    monkeypatch.setattr(template, "model", tiny_model)


def batches(encoder, turns):
    """The same batch of three turns of two pictures, with processed and with raw patches."""
    return [
        encoder.template.data_collator([encode(encoder, turns[index], raw=raw) for index in range(3)])
        for raw in (False, True)
    ]


def run(model, batch):
    import torch

    model.zero_grad()
    inputs = {key: value for key, value in batch.items() if key != "text_position_ids"}
    output = model(**inputs)
    output.loss.backward()
    gradients = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    assert gradients
    assert torch.isfinite(output.loss)
    return output.logits.detach(), output.loss.detach(), gradients


def same_bits(first, second):
    import torch

    return (
        torch.equal(first[0], second[0])
        and torch.equal(first[1], second[1])
        and all(torch.equal(a, b) for a, b in zip(first[2], second[2], strict=True))
    )


def test_patches_are_bytes_in_the_order_of_the_processor(processor):
    pictures = [picture(96, 64), picture(32, 128, seed=1)]
    expected = processor(images=pictures, do_resize=False, return_tensors="pt")
    raw = RawPatches(processor)(images=pictures, do_resize=False, return_tensors="pt")
    assert str(raw["pixel_values"].dtype) == "torch.uint8"
    assert raw["image_grid_thw"].tolist() == expected["image_grid_thw"].tolist() == [[1, 4, 6], [1, 8, 2]]
    back = (expected["pixel_values"].view(-1, 3, 2, 256)[:, :, 0] * 127.5 + 127.5).round().reshape(-1, 768)
    assert np.array_equal(raw["pixel_values"].numpy(), back.numpy().astype(np.uint8))


def test_a_batch_takes_an_eighth_of_the_memory(encoder, turns):
    processed, raw = (batch["pixel_values"] for batch in batches(encoder, turns))
    assert raw.nbytes * 8 == processed.nbytes


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "autocast"])
def test_logits_loss_and_gradients_are_equal_bit_for_bit(tiny_model, encoder, turns, processor, precision):
    import torch

    model = tiny_model.to(torch.bfloat16) if precision == "bfloat16" else tiny_model
    processed, raw = batches(encoder, turns)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "autocast"):
        expected = run(model, processed)
        normalise_on_device(model, processor)
        assert same_bits(run(model, raw), expected)
        assert same_bits(run(model, processed), expected)


def test_gradient_checkpointing_sees_the_same_bits(tiny_model, encoder, turns, processor):
    processed, raw = batches(encoder, turns)
    expected = run(tiny_model, processed)
    normalise_on_device(tiny_model, processor)
    tiny_model.train()
    tiny_model.gradient_checkpointing_enable({"use_reentrant": False})
    assert same_bits(run(tiny_model, raw), expected)


def test_an_adapter_does_not_hide_the_embedding(tiny_model, encoder, turns, processor):
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(target_modules=["q_proj"], modules_to_save=["visual.patch_embed"])
    model = get_peft_model(tiny_model, config)
    processed, raw = batches(encoder, turns)
    expected = run(model, processed)
    handle = normalise_on_device(model, processor)
    assert same_bits(run(model, raw), expected)
    handle.remove()
    with pytest.raises(RuntimeError, match="must match the size"), torch.no_grad():
        model(**{key: value for key, value in raw.items() if key != "text_position_ids"})


def test_the_forward_that_upstream_writes_for_deepspeed_takes_raw_patches_and_text(
    tiny_model, encoder, turns, processor
):
    import torch
    from swift.model.models.qwen import _forward_qwen3_vl_or_qwen3_omni as embed

    def embedded(batch):
        with torch.no_grad():
            pictures = batch.get("pixel_values"), None, batch.get("image_grid_thw"), None
            return embed(tiny_model.model, encoder.template.processor, batch["input_ids"], None, *pictures)

    processed, raw = batches(encoder, turns)
    text = {"input_ids": processed["input_ids"]}
    expected = embedded(processed), embedded(text)
    normalise_on_device(tiny_model, processor)
    for ours, theirs in zip((embedded(raw), embedded(text)), expected, strict=True):
        assert torch.equal(ours[0], theirs[0])
        assert all(torch.equal(a, b) for a, b in zip(ours[2], theirs[2], strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
def test_a_gpu_computes_the_bits_of_the_processor(processor, dtype):
    import torch

    image = picture(512, 512)
    expected = processor(images=[image], do_resize=False, return_tensors="pt")["pixel_values"]
    raw = RawPatches(processor)(images=[image], do_resize=False)["pixel_values"].to("cuda", getattr(torch, dtype))
    normalised = Normalisation(processor).apply(raw).cpu()
    assert torch.equal(normalised, expected.to(normalised.dtype))
    assert normalised.dtype == (torch.float32 if dtype == "uint8" else raw.dtype)


def test_a_model_without_pictures_is_refused(processor):
    from torch import nn

    with pytest.raises(ValueError, match=r"Linear: expected one module visual\.patch_embed, got 0"):
        normalise_on_device(nn.Linear(2, 2), processor)


def test_patches_reach_the_trainer_through_worker_processes(encoder, turns):
    from torch.utils.data import DataLoader

    class Encoded:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return encode(encoder, turns[index], raw=True)

    local = [Encoded()[index]["pixel_values"] for index in range(4)]
    loader = DataLoader(Encoded(), batch_size=2, num_workers=1, collate_fn=encoder.template.data_collator)
    sent = [batch["pixel_values"] for batch in loader]
    assert [str(patches.dtype) for patches in sent] == ["torch.uint8"] * 2
    assert np.array_equal(np.concatenate(sent), np.concatenate(local))


@pytest.mark.parametrize("size", [(256, 192), (161, 127), (40, 40), (700, 300)])
def test_pictures_get_the_resize_of_the_template(encoder, turns, processor, size):
    turn = turns[0]
    for part in turn.inputs["messages"][1]["content"]:
        if part["type"] == "image":
            part["image"] = picture(*size)
    inputs = {"messages": turn.inputs["messages"], "chat_template_kwargs": encoder.form.pixel_limits}
    expected = encoder.template.encode(inputs)
    with raw_patches(encoder.template):
        raw = encoder.template.encode({**inputs, "messages": share_pictures(inputs["messages"])})
    assert raw["image_grid_thw"].tolist() == expected["image_grid_thw"].tolist()
    assert raw["input_ids"] == expected["input_ids"]
    assert np.array_equal(Normalisation(processor).apply(raw["pixel_values"]), expected["pixel_values"])


def test_the_ordinary_processor_is_back_afterwards(template, processor):
    with raw_patches(template):
        assert isinstance(template.processor.image_processor, RawPatches)
        assert template.processor.image_processor.merge_size == processor.merge_size
    assert template.processor.image_processor is processor
    with pytest.raises(ZeroDivisionError), raw_patches(template):
        raise ZeroDivisionError
    assert template.processor.image_processor is processor


def test_pictures_that_are_to_be_resized_go_to_the_processor(processor):
    """ms-swift feeds a black picture to text-only batches this way."""
    black = [Image.new("RGB", (32, 32), (0, 0, 0))]
    ours, theirs = (make(images=black, return_tensors="pt") for make in (RawPatches(processor), processor))
    assert np.array_equal(ours["pixel_values"], theirs["pixel_values"])


def test_a_stand_in_can_be_copied_and_sent(processor):
    stand_in = RawPatches(processor)
    for other in (copy.deepcopy(stand_in), pickle.loads(pickle.dumps(stand_in))):
        assert other.merge_size == processor.merge_size
    with pytest.raises(AttributeError):
        _ = stand_in.no_such_thing


@pytest.mark.parametrize("shape", [(32, 33, 3), (48, 32, 3), (32, 32), (32, 32, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="a multiple of 32"):
        cut_patches(np.zeros(shape, np.uint8), size=16, merge=2)


@pytest.mark.parametrize(
    ("change", "possible"),
    [
        ({}, True),
        ({"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]}, True),  # of CLIP
        ({"do_normalize": False}, False),
        ({"do_rescale": False}, False),
        ({"temporal_patch_size": 1}, False),
        ({"patch_size": 14}, True),
    ],
)
def test_raw_patches_are_possible_where_the_bits_are_the_same(processor, change, possible):
    changed = copy.deepcopy(processor)
    for name, value in change.items():
        setattr(changed, name, value)
    assert has_raw_form(changed) is possible


def test_a_shared_picture_is_itself_where_others_are_copied():
    given = picture(96, 64)
    shared = SharedPicture(given)
    assert copy.deepcopy([shared])[0] is shared
    assert shared.convert("RGB") is shared
    assert shared.resize((96, 64)) is shared
    assert shared.convert("L").tobytes() == given.convert("L").tobytes()
    assert shared.resize((64, 32)).tobytes() == given.resize((64, 32)).tobytes()
    assert shared.resize((96, 64), box=(0, 0, 48, 32)).tobytes() == given.resize((96, 64), box=(0, 0, 48, 32)).tobytes()
    assert np.array_equal(shared, given)


def test_messages_are_shared_without_a_change(turns):
    messages = turns[0].inputs["messages"]
    given = messages[1]["content"]
    shared = share_pictures(messages)
    assert [message for message in shared if message["role"] != "user"] == [messages[0], messages[2]]
    for before, after in zip(given, shared[1]["content"], strict=True):
        if before["type"] == "image":
            assert (type(before["image"]), type(after["image"])) == (Image.Image, SharedPicture)
            assert np.array_equal(before["image"], after["image"])
        else:
            assert before == after
