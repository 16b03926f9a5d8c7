"""A model for inference: whole weights, or those of an adapter or of a part on top of its base."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
        attn_impl: `sdpa`, `flash_attention_2` or `eager`; None for what transformers chooses.
        device_map: A device, or `auto` to spread the model over all that are visible; None for one of its own for each
            process of this machine, or the CPU.

    Returns:
        The model in evaluation mode, and its chat template.
    """
    os.environ.setdefault("LOG_LEVEL", "ERROR")  # read by upstream when it is imported
    import torch
    from swift.model import get_model_processor
    from swift.model.register import BaseModelLoader
    from swift.template import get_template
    from transformers.utils import logging

    BaseModelLoader.default_trust_remote_code = False
    if device_map is None and torch.cuda.is_available():  # upstream would spread it over all
        device_map = f"cuda:{rank_from_environment().local_rank}"
    dtype = None if torch_dtype is None else {"float32": torch.float32, "bfloat16": torch.bfloat16}[torch_dtype]
    model: Any
    processor: Any
    verbosity, shows_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # upstream uses a name that transformers warns of
    logging.disable_progress_bar()
    try:
        model, processor = get_model_processor(
            path,
            model_type=model_type,
            torch_dtype=dtype,
            attn_impl=attn_impl,
            device_map=device_map,
            use_hf=True,
        )
    finally:
        logging.set_verbosity(verbosity)
        if shows_bar:
            logging.enable_progress_bar()
    template = get_template(processor)
    template.image_token_id = processor.image_token_id
    template.video_token_id = processor.video_token_id
    return (model if trained is None else _with_trained(model, Path(trained))).eval(), template


def _with_trained(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    if not holds_part(folder):
        return PeftModel.from_pretrained(model, str(folder))
    put_part(folder, model)
    return model
