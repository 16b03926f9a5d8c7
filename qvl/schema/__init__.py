"""The schema of the configuration: groups, checks, and what to tell about keys that are not in it."""

from qvl.schema.checks import check, find_problems
from qvl.schema.evaluate import EvaluateConfig
from qvl.schema.explain import explain, reason, unknown_key
from qvl.schema.extra import EXTRA, ExtraKey, Problem
from qvl.schema.files import find_missing_files
from qvl.schema.findings import find_strange_keys, tell
from qvl.schema.groups import (
    ConvertConfig,
    DataConfig,
    DeepspeedConfig,
    EvaluationConfig,
    ExportConfig,
    FuseConfig,
    HealthConfig,
    ModelConfig,
    PathsConfig,
    TrainConfig,
    TrainingConfig,
    TunerConfig,
    ValidateConfig,
    VisualizeConfig,
)
from qvl.schema.infer import AskConfig, InferConfig
from qvl.schema.keys import RETIRED, RETIRED_SECTIONS, advice, missing_keys, nearest, unknown_keys
from qvl.schema.machine import Place, find_machine_faults
from qvl.schema.register import register_schema
from qvl.schema.report import ReportConfig
from qvl.schema.sources import ConfigFiles, KeyNote, Origins, config_dir, read_notes

__all__ = [
    "EXTRA",
    "RETIRED",
    "RETIRED_SECTIONS",
    "AskConfig",
    "ConfigFiles",
    "ConvertConfig",
    "DataConfig",
    "DeepspeedConfig",
    "EvaluateConfig",
    "EvaluationConfig",
    "ExportConfig",
    "ExtraKey",
    "FuseConfig",
    "HealthConfig",
    "InferConfig",
    "KeyNote",
    "ModelConfig",
    "Origins",
    "PathsConfig",
    "Place",
    "Problem",
    "ReportConfig",
    "TrainConfig",
    "TrainingConfig",
    "TunerConfig",
    "ValidateConfig",
    "VisualizeConfig",
    "advice",
    "check",
    "config_dir",
    "explain",
    "find_machine_faults",
    "find_missing_files",
    "find_problems",
    "find_strange_keys",
    "missing_keys",
    "nearest",
    "read_notes",
    "reason",
    "register_schema",
    "tell",
    "unknown_key",
    "unknown_keys",
]
