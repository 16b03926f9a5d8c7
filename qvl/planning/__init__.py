"""What a training will take before it runs: operations and memory, by arithmetic on the shape of the model."""

from qvl.planning.architecture import Architecture, known_config
from qvl.planning.flops import Batch, StepFlops, Tuning, step_flops
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
    "known_config",
    "needs_checkpointing",
    "peak_memory",
    "spare",
    "step_flops",
]
