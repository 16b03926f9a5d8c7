"""A model for inference: whole weights, or those of an adapter or of a part on top of its base."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qvl.machine import attention_here, has_device
from qvl.runtime import quiet_loading
from qvl.runtime.distributed import rank_from_environment
from qvl.runtime.part import holds_part, put_part

if TYPE_CHECKING:
    from swift.template import Template
    from torch import nn

__all__ = ["load_model"]


def load_model(
    path: str,
    *,
    trained: str | None,
    model_type: str,
    torch_dtype: str | None,
    attn_impl: str | None,
    device_map: str | None = None,
) -> tuple[nn.Module, Template]:
    """Load weights and the template of training.

    Args:
        path: Folder of whole weights, or a hub id.
        trained: Folder of an adapter on top of them, or of a part that takes the places of some.
        model_type: Name of the architecture in ms-swift.
        torch_dtype: `float32` or `bfloat16`; None for that of the checkpoint.
        attn_impl: `auto`, `sdpa`, `flash_attention_2` or `eager`; None for what transformers chooses.
        device_map: A device, or `auto` to spread the model over all that are visible; None for one of its own for each
            process of this machine, or the CPU.

    Returns:
        The model in evaluation mode, and its chat template.

    Raises:
        ConfigError: Flash attention is asked for and cannot be imported, or devices that are named cannot be used.
    """
    os.environ.setdefault("LOG_LEVEL", "ERROR")  # read by upstream when it is imported
    import torch
    from peft import PeftModel
    from swift.model import get_model_processor
    from swift.model.register import BaseModelLoader
    from swift.template import get_template

    BaseModelLoader.default_trust_remote_code = False
    if device_map is None and has_device():  # upstream would spread it over all
        device_map = f"cuda:{rank_from_environment().local_rank}"
    dtype = None if torch_dtype is None else {"float32": torch.float32, "bfloat16": torch.bfloat16}[torch_dtype]
    model: Any
    processor: Any
    half = attn_impl == "auto" and device_map != "cpu" and _is_half(path, torch_dtype)
    with quiet_loading():
        model, processor = get_model_processor(
            path,
            model_type=model_type,
            torch_dtype=dtype,
            attn_impl=attention_here(attn_impl, half=half),
            device_map=device_map,
            use_hf=True,
        )
    template = get_template(processor)
    template.image_token_id = processor.image_token_id
    template.video_token_id = processor.video_token_id
    if trained is not None and holds_part(Path(trained)):
        put_part(Path(trained), model)
    elif trained is not None:
        model = PeftModel.from_pretrained(model, trained)
    return model.eval(), template


def _is_half(path: str, torch_dtype: str | None) -> bool:
    """Return whether a model computes in bfloat16: as asked, else as its weights are."""
    import torch
    from transformers import AutoConfig

    if torch_dtype is not None:
        return torch_dtype == "bfloat16"
    return bool(AutoConfig.from_pretrained(path, trust_remote_code=False).dtype == torch.bfloat16)
