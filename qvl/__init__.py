"""Fine-tune Qwen3-VL for dense captions with geometry."""

__version__ = "0.1.0"
