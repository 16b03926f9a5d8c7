"""A real Qwen3-VL of about a million parameters, in an ordinary checkpoint folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qvl.conversation import TextObject, render_answer
from qvl.data.scenes import STYLES, Layout, Part, layout_scene
from qvl.geometry import to_grid
from qvl.runtime.seeding import rng

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer, Qwen3VLConfig, Qwen3VLProcessor

__all__ = ["SPECIAL_TOKENS", "create_tiny_checkpoint"]

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_VOCABULARY = 640
_SCENES = 400
_CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' or 'image' in part -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' or 'video' in part -%}<|vision_start|><|video_pad|><|vision_end|>
{%- elif 'text' in part -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def create_tiny_checkpoint(folder: Path, prompts: Sequence[str], *, seed: int) -> None:
    """Write a randomly initialised tiny Qwen3-VL with its own small tokenizer.

    Args:
        folder: Where to write; made if missing. Weights are float32 safetensors.
        prompts: Texts that the byte-level BPE is trained on, besides answers to generated scenes; any other text can be
            encoded all the same.
        seed: Of the weights.
    """
    import torch
    from transformers import GenerationConfig, Qwen3VLForConditionalGeneration, set_seed

    tokenizer = _train_tokenizer([*_answers(), *prompts, *prompts])  # twice: a pair that is seen once is not merged
    config = _config(tokenizer)
    with torch.random.fork_rng():
        set_seed(seed)
        model = Qwen3VLForConditionalGeneration(config)
    ids = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=ids, pad_token_id=ids[1])
    model.save_pretrained(folder)
    _processor(tokenizer).save_pretrained(folder)


def _answers() -> Iterator[str]:
    """Yield answers to scenes of the kind that the model is pretrained on, for one picture and for two."""
    layouts = [layout_scene(STYLES["cabinet"], rng(0, 0, "tokenizer", index, 0)) for index in range(_SCENES)]
    objects = [[_text_object(part, layout) for part in layout.parts] for layout in layouts]
    for first, second in zip(objects[::2], objects[1::2], strict=True):
        yield render_answer([first], image_label="图片")
        yield render_answer([first, second], image_label="图片")


def _text_object(part: Part, layout: Layout) -> TextObject:
    flat = [float(number) for number in part.points.ravel()]
    return TextObject(part.desc, part.key, to_grid(flat, width=layout.width, height=layout.height, grid=1000))


def _train_tokenizer(corpus: Sequence[str]) -> Qwen2Tokenizer:
    """Train the merges on a corpus; the split into words and digits is Qwen's own."""
    import json

    from tokenizers import pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    blank = Qwen2Tokenizer(vocab={"<|endoftext|>": 0}, merges=[]).backend_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    blank.train_from_iterator(corpus, trainer)
    learned = json.loads(blank.to_str())["model"]
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=_without_specials(learned["vocab"]), merges=merges, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS)})
    return tokenizer


def _without_specials(vocab: dict[str, int]) -> dict[str, int]:
    """Number the learned tokens from zero, leaving the specials to be appended."""
    ordinary = sorted((index, token) for token, index in vocab.items() if token not in SPECIAL_TOKENS)
    return {token: number for number, (_, token) in enumerate(ordinary)}


def _config(tokenizer: Qwen2Tokenizer) -> Qwen3VLConfig:
    """Four text layers, so that each of the three deepstack mergers gets a gradient."""
    from transformers import Qwen3VLConfig

    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    hidden = 128
    return Qwen3VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 64) * 64,
            "hidden_size": hidden,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 16384,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 4,
            "hidden_size": 64,
            "intermediate_size": 192,
            "num_heads": 4,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [0, 1, 2],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
        eos_token_id=ids["<|im_end|>"],
        pad_token_id=ids["<|endoftext|>"],
    )


def _processor(tokenizer: Qwen2Tokenizer) -> Qwen3VLProcessor:
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    grid = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    normal = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    size = {"shortest_edge": 4 * 32**2, "longest_edge": 1024 * 32**2}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size, **grid, **normal),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(size=size, **grid, **normal),
        chat_template=_CHAT_TEMPLATE,
    )
