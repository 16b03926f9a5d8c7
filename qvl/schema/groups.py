"""Keys and types of the configuration groups; the values are in conf/."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

__all__ = [
    "ConvertConfig",
    "DataConfig",
    "DeepspeedConfig",
    "EvaluationConfig",
    "ExportConfig",
    "FuseConfig",
    "HealthConfig",
    "ModelConfig",
    "PathsConfig",
    "PlanConfig",
    "ResizeConfig",
    "SplitConfig",
    "TinyConfig",
    "TrainConfig",
    "TrainingConfig",
    "TunerConfig",
    "ValidateConfig",
    "VisualizeConfig",
]


@dataclass
class ModelConfig:
    """Group `model`: which checkpoint, in which precision, on how many pixels."""

    path: str = MISSING
    model_type: str = MISSING
    torch_dtype: str = MISSING
    attn_impl: str = MISSING
    min_pixels: int = MISSING
    max_pixels: int = MISSING
    side_factor: int = 32
    mixture_of_experts: bool = False


@dataclass
class TunerConfig:
    """Group `tuner`: which weights are trained, and how; the LoRA keys mean nothing to `tuner_type: full`."""

    tuner_type: str = MISSING
    freeze_llm: bool = MISSING
    freeze_vit: bool = MISSING
    freeze_aligner: bool = MISSING
    target_modules: list[str] = field(default_factory=list)
    target_parameters: list[str] = field(default_factory=list)
    modules_to_save: list[str] = field(default_factory=list)
    lora_rank: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    use_dora: bool = False


@dataclass
class DataConfig:
    """Group `data`: where rows come from and how they become conversations."""

    images_per_user_turn: int = MISSING
    emit_norm: str = MISSING
    object_order: str = MISSING
    max_objects: int | None = None
    batching: str = MISSING
    on_overlength: str = MISSING
    check_images: str = MISSING
    dump_conversation_text: bool = MISSING
    allowed_roots: list[str] = field(default_factory=list)
    prepare: Any = None
    train: Any = MISSING
    val: Any = None
    builder: Any = MISSING


@dataclass
class TrainingConfig:
    """Group `training`: schedule, optimiser, evaluation and saving."""

    per_device_train_batch_size: int = MISSING
    per_device_eval_batch_size: int = MISSING
    effective_batch_size: int = MISSING
    num_train_epochs: float = MISSING
    max_steps: int = MISSING
    learning_rate: float = MISSING
    vit_lr: float | None = None
    aligner_lr: float | None = None
    lr_scheduler_type: str = MISSING
    warmup_ratio: float = MISSING
    weight_decay: float = MISSING
    adam_beta2: float = MISSING
    bf16: bool | None = None
    max_grad_norm: float = MISSING
    gradient_checkpointing: bool | None = None
    logging_steps: int = MISSING
    eval_strategy: str = MISSING
    eval_steps: int = MISSING
    save_strategy: str = MISSING
    save_steps: int = MISSING
    save_total_limit: int | None = None
    save_only_model: bool = MISSING
    save_whole_model: bool = MISSING
    metric_for_best_model: str = MISSING
    load_best_model_at_end: bool = MISSING
    dataloader_num_workers: int | None = None
    ddp_timeout_min: float = MISSING
    raw_patches: bool = MISSING
    use_liger_kernel: bool = MISSING
    torch_compile: bool = MISSING
    resume_from_checkpoint: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    trainer: Any = MISSING


@dataclass
class DeepspeedConfig:
    """Group `deepspeed`: settings handed to DeepSpeed unchanged, or null."""

    config: Any = None


@dataclass
class EvaluationConfig:
    """Group `evaluation`: answers of the model while it is trained, and their scores."""

    every_steps: int = MISSING
    num_samples: int = MISSING
    num_pictures: int = MISSING
    before_training: bool = MISSING
    max_new_tokens: int | None = None
    batch_size: int = MISSING
    line_tolerance: float = MISSING
    average_precision: list[str] = field(default_factory=list)


@dataclass
class HealthConfig:
    """Group `health`: how often encoded samples and the weights of the processes are checked."""

    every_n: int = MISSING
    ranks_every_n: int = MISSING


@dataclass
class PathsConfig:
    """Group `paths`: absolute folders."""

    root: str = MISSING
    runs: str = MISSING
    data: str = MISSING
    cache: str = MISSING


@dataclass
class PlanConfig:
    """Node `plan` of `conf/train.yaml`: the machine that debug=plan reckons with."""

    show: bool = MISSING
    processes: int | None = None
    device_gb: float | None = None
    tflops: float | None = None
    mfu: float = MISSING


@dataclass
class TrainConfig:
    """Everything that `conf/train.yaml` and the groups may hold; an unknown key fails before anything is built."""

    model: ModelConfig = MISSING
    tuner: TunerConfig = MISSING
    data: DataConfig = MISSING
    augmentation: Any = MISSING
    prompts: Any = MISSING
    training: TrainingConfig = MISSING
    deepspeed: DeepspeedConfig = MISSING
    callbacks: Any = MISSING
    evaluation: EvaluationConfig = MISSING
    health: HealthConfig = MISSING
    paths: PathsConfig = MISSING
    run_name: str = MISSING
    seed: int = MISSING
    augment_prob: float = MISSING
    global_max_length: int = MISSING
    optimized_metric: str | None = None
    show_prompt: int | None = None
    plan: PlanConfig = field(default_factory=PlanConfig)
    trusted_targets: list[str] = field(default_factory=list)


@dataclass
class FuseConfig:
    """Everything that `conf/fuse.yaml` and its groups may hold."""

    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    prompts: Any = MISSING
    paths: PathsConfig = MISSING
    seed: int = MISSING
    epoch: int = MISSING
    out: str = MISSING
    trusted_targets: list[str] = field(default_factory=list)


@dataclass
class ResizeConfig:
    """Node `resize` of `conf/convert.yaml`: to which size pictures are brought."""

    max_pixels: int | None = None
    min_pixels: int = MISSING
    side_factor: int = MISSING


@dataclass
class SplitConfig:
    """Node `split` of `conf/convert.yaml`: which rows are for what."""

    val: float = MISSING
    test: float = MISSING
    by: str = MISSING
    seed: int = MISSING


@dataclass
class TinyConfig:
    """Node `tiny` of `conf/convert.yaml`: rows of the tiny files."""

    train: int = MISSING
    val: int = MISSING


@dataclass
class ConvertConfig:
    """Everything that `conf/convert.yaml` and the group `source` may hold."""

    source: Any = MISSING
    out: str = MISSING
    overwrite: bool = MISSING
    desc: str | None = None
    labels: Any = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    bad_objects: str = MISSING
    shapes: str = MISSING
    multi_part: str = MISSING
    numbers: str = MISSING
    point_size: float | None = None
    crowd: str = MISSING
    canonical: bool = MISSING
    exif: str = MISSING
    pictures: str = MISSING
    resize: ResizeConfig = field(default_factory=ResizeConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    tiny: TinyConfig = field(default_factory=TinyConfig)
    near_duplicates: int | None = None
    summary: Any = None
    trusted_targets: list[str] = field(default_factory=list)


@dataclass
class ExportConfig:
    """Everything that `conf/export.yaml` may hold."""

    checkpoint: str = MISSING
    out: str = MISSING
    metric: str | None = None
    merge: bool = MISSING
    dtype: str = MISSING
    base: str | None = None
    check: str | None = None
    check_rows: int = MISSING
    allowed_roots: list[str] = field(default_factory=list)
    tolerance: float = MISSING


@dataclass
class ValidateConfig:
    """Everything that `conf/validate.yaml` and its groups may hold."""

    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    prompts: Any = MISSING
    paths: PathsConfig = MISSING
    out: str = MISSING
    images: str = MISSING
    lengths: bool = MISSING
    global_max_length: int = MISSING
    twins: float | None = None
    fix: str | None = None
    drop_rest: bool = MISSING
    num_worst: int = MISSING
    processes: int | None = None
    seed: int = MISSING
    trusted_targets: list[str] = field(default_factory=list)


@dataclass
class VisualizeConfig:
    """Everything that `conf/visualize.yaml` and its groups may hold."""

    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    augmentation: Any = MISSING
    prompts: Any = MISSING
    paths: PathsConfig = MISSING
    predictions: str | None = None
    out: str | None = None
    num_samples: int = MISSING
    threshold: float = MISSING
    line_tolerance: float = MISSING
    worst_first: bool = MISSING
    split: str = MISSING
    rows: list[int] | None = None
    views: list[str] = MISSING
    draws: int = MISSING
    augment_prob: float = MISSING
    progress: float | None = None
    seed: int = MISSING
    trusted_targets: list[str] = field(default_factory=list)
