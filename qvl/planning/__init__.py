"""What a training will take before it runs: operations and memory, by arithmetic on the shape of the model."""

from qvl.planning.architecture import Architecture, known_config
from qvl.planning.disk import optimizer_bytes, safetensors_bytes, tokenizer_bytes
from qvl.planning.flops import Batch, StepFlops, Tuning, device_peak, step_flops
from qvl.planning.memory import GIB, Memory, Setting, Weights, needs_checkpointing, peak_memory, spare

__all__ = [
    "GIB",
    "Architecture",
    "Batch",
    "Memory",
    "Setting",
    "StepFlops",
    "Tuning",
    "Weights",
    "device_peak",
    "known_config",
    "needs_checkpointing",
    "optimizer_bytes",
    "peak_memory",
    "safetensors_bytes",
    "spare",
    "step_flops",
    "tokenizer_bytes",
]
