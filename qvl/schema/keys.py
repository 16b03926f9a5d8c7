"""Unknown keys: what was meant, and what to do about keys of earlier systems."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Iterator

from omegaconf import DictConfig, OmegaConf

__all__ = ["RETIRED", "RETIRED_SECTIONS", "advice", "missing_keys", "nearest", "unknown_keys"]

_PADDED = "batches are padded, rows are never packed; delete the key"
_COMPOSE = "a file builds on others by its `defaults` list, and a run is chosen as +recipe=NAME"
_RUN_FOLDER = "the run folder follows from paths.runs and run_name"

RETIRED: dict[str, str] = {
    "add_version": f"{_RUN_FOLDER}; delete the key",
    "base_config": _COMPOSE,
    "bypass_prob": "use augment_prob, which is 1 - bypass_prob",
    "cached_lengths": _PADDED,
    "data.dataset": "use data.train.path",
    "data.val_dataset": "use data.val.path",
    "deepspeed.enabled": "choose deepspeed=none, deepspeed=zero2 or deepspeed=zero3",
    "evaluation.threshold": "scores are measured at 0.50 and from 0.50 to 0.95; delete the key",
    "extends": _COMPOSE,
    "gradient_accumulation_steps": "set training.effective_batch_size; the accumulation follows from it",
    "greater_is_better": "the direction follows from the name in training.metric_for_best_model; delete the key",
    "grpo_chord": "there is no such mode; delete the key",
    "hard_sample_mining": "it brought no measurable gain; delete the key",
    "inherit": _COMPOSE,
    "json_format": "answers have one format; delete the key",
    "jsonl": "choose data=jsonl and set data.train.path",
    "logging_dir": _RUN_FOLDER,
    "model.gradient_checkpointing": "use training.gradient_checkpointing",
    "max_length": "use global_max_length, which holds for the model and the template",
    "max_model_len": "use global_max_length, which holds for the model and the template",
    "object_ordering": "use data.object_order",
    "object_ordering_policy": "use data.object_order",
    "optimizer": "delete the key; training.vit_lr and training.aligner_lr give the parts their own rates by themselves",
    "output_dir": _RUN_FOLDER,
    "packing": _PADDED,
    "packing_group_key": _PADDED,
    "packing_length_override": _PADDED,
    "prompts.scheme": "choose prompts=scheme_a or prompts=scheme_b",
    "quad": "a shape is a bbox_2d, a poly or a line; write a quad as a poly of four points",
    "sample_limit": "use data.train.limit and data.val.limit",
    "summary_label_grouping": "labels are trained as they are written; delete the key",
    "summary_ratio": "rows are what their file says; delete the key",
    "system_prompt": "use prompts.system, or prompts.system_file for a file",
    "train_jsonl": "choose data=jsonl and set data.train.path",
    "train_sample_limit": "use data.train.limit",
    "train_type": "use tuner.tuner_type",
    "truncation_strategy": "rows are never cut; data.on_overlength says what happens to a row that is too long",
    "use_legacy_fusion": "there is one way to mix data; delete the key",
    "use_summary": "rows are what their file says; delete the key",
    "use_swift_lora": "adapters are those of PEFT; delete the key",
    "user_prompt": "use prompts.user, or prompts.user_file for a file",
    "val_jsonl": "choose data=jsonl and set data.val.path",
    "val_sample_limit": "use data.val.limit",
}
"""Keys of earlier systems, by full name or by last part, and what to do instead."""

RETIRED_SECTIONS: dict[str, str] = {
    "augment": "the group is called augmentation",
    "custom": "its keys are at home in data, augmentation, prompts and at the root",
    "eval": "the group is called evaluation",
    "quantization": "the base model is trained in its own type, see model.torch_dtype; delete the section",
    "rlhf": "only supervised fine-tuning is configured here",
    "template": "its keys are at home in data, prompts and global_max_length",
}
"""Sections of earlier systems and where their keys are now."""


def advice(key: str) -> str | None:
    """Return what to do instead of a retired key, None for a key that never existed."""
    section, _, rest = key.partition(".")
    found = RETIRED.get(key) or RETIRED.get(key.rpartition(".")[2])
    return found or (RETIRED_SECTIONS.get(section) if rest or section in RETIRED_SECTIONS else None)


def nearest(key: str, known: Collection[str]) -> str | None:
    """Return the known key that was probably meant, None if none is close.

    A key of the same name elsewhere comes first, then a similar name beside it, then any similar key.
    """
    parent, _, name = key.rpartition(".")
    known = [other for other in known if not key.startswith(f"{other}.")]
    same_name = [other for other in known if other.rpartition(".")[2] == name and other != key]
    if same_name:
        return min(same_name, key=lambda other: (other.count("."), other))
    siblings = {other.rpartition(".")[2]: other for other in known if other.rpartition(".")[0] == parent}
    if close := difflib.get_close_matches(name, siblings, n=1, cutoff=0.6):
        return siblings[close[0]]
    if close := difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.7):
        return close[0]
    names = {other.rpartition(".")[2]: other for other in sorted(known, reverse=True)}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return names[close[0]] if close else None


def unknown_keys(cfg: DictConfig) -> list[str]:
    """Return the keys that a composed configuration has and its schema does not.

    Hydra checks files and plain overrides against the schema; `+key=value` and `++key=value` go past it.
    """
    return [f"{prefix}{key}" for prefix, fields, keys in _typed_nodes(cfg, "") for key in keys if key not in fields]


def missing_keys(cfg: DictConfig) -> list[str]:
    """Return the keys that have no value: left open as `???`, or deleted by `~key`."""
    deleted = [f"{prefix}{key}" for prefix, fields, keys in _typed_nodes(cfg, "") for key in fields if key not in keys]
    return sorted({*_open_keys(cfg, ""), *deleted})


def _open_keys(node: DictConfig, prefix: str) -> Iterator[str]:
    """Yield the keys that are left open; `OmegaConf.missing_keys` gives up at an interpolation of one."""
    for name in map(str, node):
        if OmegaConf.is_missing(node, name):
            yield f"{prefix}{name}"
        elif not OmegaConf.is_interpolation(node, name) and isinstance(node[name], DictConfig):
            yield from _open_keys(node[name], f"{prefix}{name}.")


def _typed_nodes(cfg: DictConfig, prefix: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (prefix, keys of the schema, keys that are there) of every node that has a dataclass."""
    schema = OmegaConf.get_type(cfg)
    if schema is None or not dataclasses.is_dataclass(schema):
        return
    keys = [str(key) for key in cfg]
    yield prefix, [field.name for field in dataclasses.fields(schema)], keys
    for key in keys:
        if not OmegaConf.is_missing(cfg, key) and isinstance(cfg[key], DictConfig):
            yield from _typed_nodes(cfg[key], f"{prefix}{key}.")
