"""What the model is given, read back: the pixels of its processor, and the objects of the tokens it is trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qvl.conversation import text_objects
from qvl.errors import HealthError
from qvl.training import ModelView, load_encoder
from qvl.training.model_view import pictures_of

pytestmark = pytest.mark.swift


def processed(encoder, image):
    """Return the picture as the processor resizes it, before it is normalised."""
    return image.resize(encoder.form.model_size(*image.size), resample=3)


def test_pixels_come_back_as_the_processor_made_them(turns, encoder):
    turn = turns[0]
    seen = ModelView(encoder)(turn)
    assert len(seen.pictures) == 2
    for picture, image in zip(seen.pictures, turn.pictures, strict=True):
        assert picture.image.size == encoder.form.model_size(*image.size)
        expected = np.asarray(processed(encoder, image), dtype=int)
        assert np.abs(np.asarray(picture.image, dtype=int) - expected).max() <= 1
        assert picture.num_tokens == encoder.picture_tokens(*image.size)


def test_every_byte_in_every_channel_survives(encoder):
    from PIL import Image

    flat = np.arange(64 * 96 * 3) * 7 % 256
    image = Image.fromarray(flat.astype(np.uint8).reshape(64, 96, 3))
    processor = encoder.template.processor.image_processor
    made = processor(images=[image, image.rotate(90, expand=True)], do_resize=False, return_tensors="pt")
    grids = [tuple(row) for row in made["image_grid_thw"].tolist()]
    first, second = pictures_of(made["pixel_values"], grids, processor)
    assert first.tobytes() == image.tobytes()
    assert second.tobytes() == image.rotate(90, expand=True).tobytes()


@pytest.mark.parametrize("emit_norm", ["norm1000", "none"])
def test_objects_are_those_of_the_tokens_in_their_units(demo_folder, encoder, make_turns, emit_norm):
    turn = make_turns(demo_folder / "train.jsonl", emit_norm=emit_norm)[1]
    view = ModelView(replace(encoder, form=replace(encoder.form, emit_norm=emit_norm)))
    seen = view(turn)
    assert seen.answer == turn.answer
    assert 0 < seen.num_answer_tokens < seen.num_tokens
    for picture, record in zip(seen.pictures, turn.records, strict=True):
        assert picture.objects == tuple(text_objects(record, emit_norm=emit_norm, order="tlbr"))
        assert picture.extent == ((1000, 1000) if emit_norm == "norm1000" else (record.width, record.height))


def test_a_turn_that_is_too_long_is_shown_and_a_sick_one_is_refused(turns, encoder):
    encoder.template.max_length = 10
    try:
        assert ModelView(encoder)(turns[0]).num_tokens > 10
    finally:
        encoder.template.max_length = None
    turn = turns[0]
    turn.inputs["objects"]["bbox"][0][0] += 9.0
    with pytest.raises(HealthError, match="coordinate_value"):
        ModelView(encoder)(turn)


def test_an_encoder_without_weights_encodes_as_the_one_of_training(tiny_folder, turns, encoder):
    loaded = load_encoder(str(tiny_folder), model_type="qwen3_vl", form=encoder.form)
    one, other = loaded.encode(turns[0], check=True), encoder.encode(turns[0], check=True)
    assert one["input_ids"] == other["input_ids"]
    assert one["labels"] == other["labels"]
