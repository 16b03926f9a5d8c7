"""Engines on the shipped model, and vLLM in a fake."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image

from qvl.conversation import build_messages
from qvl.errors import ConfigError
from qvl.inference import Completion, Engine, VllmEngine, load_model
from qvl.inference.engine import _completion
from qvl.models import resolve_model

pytestmark = pytest.mark.swift
LIMITS = {"min_pixels": 4096, "max_pixels": 65536}
LOAD = {"model_type": "qwen3_vl", "torch_dtype": None, "attn_impl": None}


@pytest.fixture(scope="module")
def tiny() -> str:
    return resolve_model("qvl://tiny", run_folder=Path(), prompts=(), seed=0)


@pytest.fixture(scope="module")
def loaded(tiny):
    return load_model(tiny, trained=None, **LOAD)


def conversation(*images: Image.Image) -> dict[str, object]:
    messages = build_messages(images, system="You annotate.", user="List.", answer=None, image_label="图片")
    return {"messages": messages, "images": list(images), "objects": {}}


def conversations() -> list[dict[str, object]]:
    gradient = Image.linear_gradient("L").convert("RGB")
    return [
        conversation(gradient.resize((64, 64))),
        conversation(gradient.resize((256, 192)).rotate(90, expand=True)),
        conversation(gradient.resize((96, 64)), gradient.resize((128, 224))),
        conversation(gradient.resize((224, 64)).rotate(180)),
    ]


def ask(loaded, batch_size: int, max_new_tokens: int = 24) -> list[Completion]:
    model, template = loaded
    engine = Engine(model, template, pixel_limits=LIMITS, max_new_tokens=max_new_tokens, batch_size=batch_size)
    return list(engine.answers(conversations()))


def test_an_answer_with_ids_that_no_token_has_is_read_like_any_other(loaded):
    """Models have more rows of weights than tokens, and one that has learned little may choose any of them."""
    _, template = loaded
    tokenizer = template.tokenizer
    ids = [*tokenizer.encode("abc"), len(tokenizer) + 1, *tokenizer.encode("图")]
    message = SimpleNamespace(content=tokenizer.decode(ids))
    choice = SimpleNamespace(message=message, finish_reason="length", token_ids=ids)
    usage = SimpleNamespace(prompt_tokens=1, completion_tokens=len(ids))
    found = _completion(SimpleNamespace(choices=[choice], usage=usage), template, [-0.5] * len(ids))
    assert found.text == "abc图"
    assert (len(found.token_ends), found.token_ends[-1]) == (len(ids), 4)


def test_answers_of_a_batch_are_those_of_each_alone_with_their_tokens(loaded):
    alone, together = ask(loaded, 1), ask(loaded, 4)
    for one, other in zip(alone, together, strict=True):
        assert replace(one, token_logprobs=()) == replace(other, token_logprobs=())
        assert one.token_logprobs == pytest.approx(other.token_logprobs, abs=1e-4)
    assert len({answer.prompt_tokens for answer in alone}) == 4
    assert all(answer.text for answer in alone)
    assert [answer.finish_reason for answer in ask(loaded, 4, 2)] == ["length"] * 4
    assert [answer.completion_tokens for answer in ask(loaded, 4, 2)] == [2] * 4


def test_recorded_log_probabilities_are_those_of_the_whole_sequence_at_once(loaded):
    import torch
    from swift.infer_engine import InferRequest

    model, template = loaded
    for asked, answer in zip(conversations(), ask(loaded, 4), strict=True):
        pieces = [answer.text[start:end] for start, end in pairwise((0, *answer.token_ends))]
        assert "".join(pieces) == answer.text
        assert answer.text.isascii()
        ids = template.tokenizer.convert_tokens_to_ids([piece.replace(" ", "Ġ") for piece in pieces])
        with template.generate_context():
            prompt = template.encode(InferRequest(messages=asked["messages"], chat_template_kwargs=dict(LIMITS)))
        begin = len(prompt["input_ids"])
        tokens = torch.tensor([[*prompt["input_ids"], *ids]])
        kinds = torch.nn.functional.pad(prompt["mm_token_type_ids"], (0, len(ids)))[None]
        pictures = {key: prompt[key] for key in ("pixel_values", "image_grid_thw")}
        with torch.inference_mode():
            logits = model(tokens, torch.ones_like(tokens), mm_token_type_ids=kinds, **pictures).logits[0]
        expected = logits[begin - 1 : -1].log_softmax(-1)[range(len(ids)), ids]
        assert answer.token_logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_an_adapter_changes_the_answers_and_none_gives_those_of_the_base(loaded, tiny, tmp_path):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3VLForConditionalGeneration

    base = Qwen3VLForConditionalGeneration.from_pretrained(tiny)
    settings = LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=["model.visual.merger"], init_lora_weights=False
    )
    adapted = get_peft_model(base, settings)
    adapted.save_pretrained(tmp_path / "same")
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.zeros_(weight)
    adapted.save_pretrained(tmp_path / "idle")
    plain = ask(loaded, 4)
    assert ask(load_model(tiny, trained=str(tmp_path / "idle"), **LOAD), 4) == plain
    assert ask(load_model(tiny, trained=str(tmp_path / "same"), **LOAD), 4) != plain


def test_vllm_that_is_not_there_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    settings = {"pixel_limits": LIMITS, "max_new_tokens": 9, "batch_size": 2, "options": {}}
    with pytest.raises(ConfigError, match=r"engine: vllm .* choose engine=transformers"):
        VllmEngine("folder", model_type="qwen3_vl", **settings)


def test_vllm_is_given_the_same_requests(loaded, monkeypatch):
    import swift.infer_engine

    seen = {}
    model, template = loaded

    def respond(requests, config, *, use_tqdm):
        seen.setdefault("requests", requests)
        seen.setdefault("config", config)
        choice = SimpleNamespace(
            message=SimpleNamespace(content="{}"),
            finish_reason="stop",
            token_ids=template.tokenizer.convert_tokens_to_ids(["{", "}", "<|im_end|>"]),
            logprobs={"content": [{"logprob": value} for value in (-0.5, -0.25, 0.0)]} if config.logprobs else None,
        )
        usage = SimpleNamespace(prompt_tokens=5, completion_tokens=3)
        return [SimpleNamespace(choices=[choice], usage=usage) for _ in requests]

    class Upstream:
        template = loaded[1]

        def __init__(self, path, **arguments):
            seen["made"] = (path, arguments)

        infer = staticmethod(respond)

    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.setitem(vars(swift.infer_engine), "VllmEngine", Upstream)
    settings = {"pixel_limits": LIMITS, "max_new_tokens": 9, "batch_size": 2}
    engine = VllmEngine("folder", model_type="qwen3_vl", options={"max_model_len": 99}, **settings)
    completion = Completion("{}", "stop", 5, 3, token_ends=(1, 2), token_logprobs=(-0.5, -0.25))
    assert list(engine.answers(conversations())) == [completion] * 4
    assert seen["made"] == (
        "folder", {"model_type": "qwen3_vl", "use_hf": True, "max_num_seqs": 2, "max_model_len": 99}
    )  # fmt: skip
    of_vllm = dict(seen)
    seen.clear()
    ours = Engine(model, template, pixel_limits=LIMITS, max_new_tokens=9, batch_size=4)
    monkeypatch.setattr(ours._engine, "infer", respond)
    assert list(ours.answers(conversations())) == [Completion("{}", "stop", 5, 3)] * 4
    assert seen["requests"] == of_vllm["requests"]
    assert seen["config"] == replace(of_vllm["config"], logprobs=False)  # ours are recorded on the way
