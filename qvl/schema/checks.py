"""Rules between keys: values in range, names among the allowed, combinations that can work."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator

from omegaconf import DictConfig, ListConfig, OmegaConf

from qvl.errors import ConfigError
from qvl.machine import ATTENTIONS
from qvl.schema.extra import INFINITE, Problem, extra_problems

__all__ = ["Problem", "check", "find_problems"]

ALLOWED: dict[str, tuple[str, ...]] = {
    "attn_impl": ATTENTIONS,
    "bad_objects": ("drop", "refuse"),
    "crowd": ("drop", "keep"),
    "data.batching": ("random", "exact", "grouped"),
    "data.check_images": ("decode", "header"),
    "data.emit_norm": ("none", "norm100", "norm1000"),
    "data.object_order": ("tlbr", "center", "none"),
    "data.on_overlength": ("error", "drop"),
    "engine": ("transformers", "vllm"),
    "evaluation.average_precision": ("boxes", "masks"),
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "exif": ("auto", "upright", "raw"),
    "model.attn_impl": ATTENTIONS,
    "model.torch_dtype": ("float32", "bfloat16"),
    "multi_part": ("box", "split", "largest"),
    "numbers": ("edges", "centers"),
    "pictures": ("link", "copy", "reference"),
    "shapes": ("annotated", "boxes"),
    "training.eval_strategy": ("steps", "epoch", "no"),
    "training.save_strategy": ("steps", "epoch", "best", "no"),
    "tuner.tuner_type": ("full", "lora"),
}
"""Keys whose value is one of a few names; null is allowed where the schema has it."""

ONLY_BESIDE: dict[str, str] = {"pictures": "source"}
"""Keys of which that holds only where another key is: `pictures` of `qvl.infer` is a path."""

RANGES: dict[str, tuple[float, float]] = {
    "augment_prob": (0, 1),
    "batch_size": (1, INFINITE),
    "check_rows": (1, INFINITE),
    "data.images_per_user_turn": (1, INFINITE),
    "data.max_objects": (1, INFINITE),
    "draws": (1, INFINITE),
    "epoch": (0, INFINITE),
    "evaluation.batch_size": (1, INFINITE),
    "evaluation.every_steps": (0, INFINITE),
    "evaluation.line_tolerance": (1e-9, 1000),
    "evaluation.max_new_tokens": (1, INFINITE),
    "evaluation.num_pictures": (0, INFINITE),
    "evaluation.num_samples": (0, INFINITE),
    "global_max_length": (1, INFINITE),
    "form.max_pixels": (1, INFINITE),
    "form.min_pixels": (1, INFINITE),
    "form.side_factor": (1, INFINITE),
    "health.every_n": (0, INFINITE),
    "health.ranks_every_n": (0, INFINITE),
    "images_per_turn": (1, INFINITE),
    "level": (0.5, 0.9999),
    "limit": (1, INFINITE),
    "line_tolerance": (1e-9, 1000),
    "max_new_tokens": (1, INFINITE),
    "model.max_pixels": (1, INFINITE),
    "model.min_pixels": (1, INFINITE),
    "model.side_factor": (1, INFINITE),
    "near_duplicates": (0, 6),
    "num_resamples": (1, INFINITE),
    "num_samples": (1, INFINITE),
    "num_worst": (0, INFINITE),
    "plan.device_gb": (1, INFINITE),
    "plan.mfu": (0.01, 1),
    "plan.processes": (1, INFINITE),
    "plan.tflops": (0.1, INFINITE),
    "processes": (1, INFINITE),
    "point_size": (1e-9, INFINITE),
    "progress": (0, 1),
    "resize.max_pixels": (1, INFINITE),
    "resize.min_pixels": (1, INFINITE),
    "resize.side_factor": (1, INFINITE),
    "rows": (1, INFINITE),
    "seed": (0, 2**32 - 1),
    "show_prompt": (0, INFINITE),
    "split.seed": (0, INFINITE),
    "split.test": (0, 1),
    "split.val": (0, 1),
    "threshold": (1e-9, 1),
    "tiny.train": (0, INFINITE),
    "tiny.val": (0, INFINITE),
    "tolerance": (0, 1),
    "training.adam_beta2": (0, 1),
    "training.aligner_lr": (0, INFINITE),
    "training.dataloader_num_workers": (0, INFINITE),
    "training.ddp_timeout_min": (0.1, INFINITE),
    "training.effective_batch_size": (1, INFINITE),
    "training.eval_steps": (1, INFINITE),
    "training.learning_rate": (0, INFINITE),
    "training.logging_steps": (1, INFINITE),
    "training.max_grad_norm": (0, INFINITE),
    "training.max_steps": (-1, INFINITE),
    "training.num_train_epochs": (0, INFINITE),
    "training.per_device_eval_batch_size": (1, INFINITE),
    "training.per_device_train_batch_size": (1, INFINITE),
    "training.save_steps": (1, INFINITE),
    "training.save_total_limit": (1, INFINITE),
    "training.vit_lr": (0, INFINITE),
    "training.warmup_ratio": (0, 1),
    "training.weight_decay": (0, INFINITE),
    "tuner.lora_alpha": (1, INFINITE),
    "tuner.lora_dropout": (0, 0.999),
    "tuner.lora_rank": (1, INFINITE),
    "twins": (0.5, 1),
}
"""Keys whose value is a finite number between two bounds, both allowed; null is allowed where the schema has it."""

FROM_TEXTS = ("loss", "token_acc")
"""Scores that come of the annotated texts; all others need answers of the model."""

NOT_ALWAYS = ("detection/category/", "detection/fault/", "verdict/")
"""Scores that a training has none of, or not at each evaluation."""

NODES = ("augmentation", "data.builder", "data.train", "prompts", "training.trainer")
"""Keys that describe an object to build."""


def find_problems(cfg: DictConfig, *, world_size: int) -> list[Problem]:
    """Return everything that cannot work in a complete configuration; [] when it is sound.

    Args:
        cfg: Composed configuration without missing values.
        world_size: Number of processes that will train.
    """
    if "training" not in cfg:  # a verb that only has names, numbers and paths
        return [*_names(cfg), *_numbers(cfg)]
    problems = [*_nodes(cfg), *_names(cfg), *_numbers(cfg)]
    if problems:
        return problems
    return [
        *_run(cfg),
        *_model(cfg),
        *_tuner(cfg),
        *_steps(cfg),
        *_best(cfg),
        *extra_problems(cfg),
        *_batch(cfg, world_size),
    ]


def check(cfg: DictConfig, *, world_size: int) -> None:
    """Raise a ConfigError that lists everything that cannot work.

    Args:
        cfg: Composed configuration without missing values.
        world_size: Number of processes that will train.
    """
    if problems := find_problems(cfg, world_size=world_size):
        raise ConfigError("\n".join(f"{key}: {message}" for key, message in problems))


def _nodes(cfg: DictConfig) -> Iterator[Problem]:
    optional = [key for key in ("data.prepare", "data.val") if OmegaConf.select(cfg, key) is not None]
    named = [f"callbacks.{name}" for name in cfg.callbacks or {}]
    for key in (*NODES, *optional, *named):
        node = OmegaConf.select(cfg, key)
        if not OmegaConf.is_dict(node) or "_target_" not in node:
            yield Problem(key, f"has to be a node with a _target_, a class of qvl, got {node!r}")


def _names(cfg: DictConfig) -> Iterator[Problem]:
    for key, allowed in ALLOWED.items():
        section, _, name = key.rpartition(".")
        if ONLY_BESIDE.get(key, key.partition(".")[0]) not in cfg:
            continue
        node = OmegaConf.select(cfg, section) if section else cfg
        if not OmegaConf.is_dict(node) or name not in node:
            continue
        values = node[name] if isinstance(node[name], ListConfig) else [node[name]]
        wrong = [value for value in values if value is not None and value not in allowed]
        if not wrong:
            continue
        value = wrong[0]
        close = difflib.get_close_matches(str(value), allowed, n=1)
        meant = 'write "no" in quotes, YAML reads a bare no as false' if value == "False" and "no" in allowed else ""
        meant = meant or (f"did you mean {close[0]}?" if close else "")
        yield Problem(key, f"{value!r} is not one of {', '.join(allowed)}" + (f"; {meant}" if meant else ""))


def _numbers(cfg: DictConfig) -> Iterator[Problem]:
    for key, (low, high) in RANGES.items():
        value = OmegaConf.select(cfg, key)
        values = list(value) if isinstance(value, ListConfig) else [value]
        if values and all(item is None or _is_inside(item, low, high) for item in values):
            continue
        bounds = f"at least {low:g}" if high == INFINITE else f"from {low:g} to {high:g}"
        yield Problem(key, f"{value} is out of range, it has to be {bounds}")


def _is_inside(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and low <= value <= high


def _run(cfg: DictConfig) -> Iterator[Problem]:
    metric = cfg.optimized_metric
    if metric is not None:
        if fault := _fault_of_score(cfg, metric):
            yield Problem("optimized_metric", fault)
        elif metric not in FROM_TEXTS and cfg.evaluation.num_samples == 0:
            yield Problem("optimized_metric", f"{metric} is not measured with evaluation.num_samples=0")
    if cfg.augment_prob and not cfg.augmentation.get("transforms", True):
        yield Problem(
            "augment_prob", f"{cfg.augment_prob} does nothing with augmentation=none; choose geometric or full"
        )
    if not re.fullmatch(r"\w[\w.-]*", cfg.run_name):
        yield Problem("run_name", f'{cfg.run_name!r} is no folder name; use letters, digits, ".", "_" and "-"')


def _model(cfg: DictConfig) -> Iterator[Problem]:
    if cfg.model.min_pixels > cfg.model.max_pixels:
        yield Problem("model.min_pixels", f"{cfg.model.min_pixels} is more than max_pixels, {cfg.model.max_pixels}")
    if cfg.training.bf16 is False and cfg.model.torch_dtype == "bfloat16":
        message = "false needs model.torch_dtype=float32: trained weights are float32, and products need one type"
        yield Problem("training.bf16", message)


def _tuner(cfg: DictConfig) -> Iterator[Problem]:
    tuner = cfg.tuner
    frozen = tuner.freeze_llm and tuner.freeze_vit and tuner.freeze_aligner
    if tuner.tuner_type == "full":
        if frozen:
            yield Problem("tuner.tuner_type", "freeze_llm, freeze_vit and freeze_aligner leave nothing to train")
        for key in ("modules_to_save", "target_parameters", "use_dora"):
            if OmegaConf.select(cfg, f"tuner.{key}"):
                yield Problem(f"tuner.{key}", "means nothing to tuner_type full; choose tuner=llm_lora")
    elif not tuner.target_modules:
        yield Problem("tuner.target_modules", "is empty, so LoRA adapts nothing; use [all-linear]")
    elif frozen and not tuner.modules_to_save:
        yield Problem("tuner.target_modules", "freeze_llm, freeze_vit and freeze_aligner leave nothing to adapt")
    if tuner.target_parameters:
        yield from _target_parameters(cfg)


def _target_parameters(cfg: DictConfig) -> Iterator[Problem]:
    """Yield what cannot be beside adapters of weights: PEFT adds them to the weights, and never sees the inputs."""
    tuner = cfg.tuner
    if tuner.lora_dropout:
        message = f"{tuner.lora_dropout} needs the inputs of a layer, target_parameters has weights; set it to 0"
        yield Problem("tuner.lora_dropout", message)
    if tuner.use_dora:
        yield Problem("tuner.use_dora", "needs layers, target_parameters has weights; choose tuner=llm_lora")
    if OmegaConf.select(cfg, "deepspeed.config.zero_optimization.stage") == 3:
        yield Problem("tuner.target_parameters", "PEFT needs the weights in one piece; choose deepspeed=zero2")
    if tuner.freeze_llm:
        yield Problem("tuner.target_parameters", "are in the language model, which freeze_llm leaves alone")


def _steps(cfg: DictConfig) -> Iterator[Problem]:
    training = cfg.training
    if training.max_steps == 0 or (training.max_steps < 0 and training.num_train_epochs <= 0):
        yield Problem("training.max_steps", "there is no step to train; set max_steps or num_train_epochs")
    if training.save_strategy == "best" and training.eval_strategy == "no":
        yield Problem("training.save_strategy", "best needs an evaluation; set eval_strategy to steps or epoch")


def _best(cfg: DictConfig) -> Iterator[Problem]:
    training = cfg.training
    metric = training.metric_for_best_model.removeprefix("eval_")
    if fault := _fault_of_score(cfg, metric):
        yield Problem("training.metric_for_best_model", fault)
    elif metric not in FROM_TEXTS:
        yield from _best_answers(cfg, metric)
    if not training.load_best_model_at_end or training.save_strategy == "best":
        return
    if training.save_strategy != training.eval_strategy:
        message = f"{training.save_strategy} has to equal eval_strategy, {training.eval_strategy}, to know the best"
        yield Problem("training.save_strategy", message)
    elif training.save_strategy == "steps" and training.save_steps % training.eval_steps:
        message = f"has to be a multiple of eval_steps, {training.eval_steps}, to know the best"
        yield Problem("training.save_steps", message)


def _best_answers(cfg: DictConfig, metric: str) -> Iterator[Problem]:
    """Yield why the best checkpoint cannot be told by a score of the answers that are given during training."""
    training, evaluation = cfg.training, cfg.evaluation
    if training.lr_scheduler_type == "reduce_lr_on_plateau":  # upstream looks at the metric at every evaluation
        yield Problem("training.lr_scheduler_type", f"reduce_lr_on_plateau follows loss or token_acc, not {metric}")
    for key in ("num_samples", "every_steps"):
        if evaluation[key] == 0:
            yield Problem(f"evaluation.{key}", f"has to be at least 1, to know the best {metric}")
    if training.save_strategy == "epoch":
        yield Problem("training.save_strategy", f"has to be steps or best, to keep the best {metric}")
    elif training.save_strategy == "steps" and evaluation.every_steps % training.save_steps:
        message = (
            f"has to be a multiple of training.save_steps, {training.save_steps}, so that the best {metric} is saved"
        )
        yield Problem("evaluation.every_steps", message)


def _fault_of_score(cfg: DictConfig, name: str) -> str | None:
    """Return why a score cannot choose among models in training; None if it can."""
    from qvl.metrics import HEADLINE, KINDS, higher_is_better, is_score

    if not is_score(name):
        return f"{name!r} is no score; there are {', '.join(HEADLINE)} and those of docs/concepts/metrics.md"
    if name.startswith(NOT_ALWAYS):
        return f"{name} is not measured in every evaluation of a training; there are {', '.join(HEADLINE)} and others"
    kind = name.rpartition("_")[2]
    if kind in KINDS and kind not in cfg.evaluation.average_precision:
        return f"{name} is not measured; add {kind} to evaluation.average_precision"
    try:
        higher_is_better(name)
    except ValueError as error:
        return str(error)
    return None


def _batch(cfg: DictConfig, world_size: int) -> Iterator[Problem]:
    from qvl.training import accumulation_steps

    training = cfg.training
    try:
        accumulation_steps(training.effective_batch_size, training.per_device_train_batch_size, world_size)
    except ConfigError as error:
        key = "training.effective_batch_size"
        yield Problem(key, str(error).removeprefix(f"{key}="))
