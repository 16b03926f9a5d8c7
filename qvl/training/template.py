"""The chat template of a model, without its weights."""

from __future__ import annotations

from typing import Any

from qvl.data import TurnFormat
from qvl.runtime import quiet_loading
from qvl.training.encoding import ConversationEncoder
from qvl.training.preload import quiet_upstream

__all__ = ["distrust_remote_code", "load_encoder"]


def load_encoder(path: str, *, model_type: str, form: TurnFormat) -> ConversationEncoder:
    """Return what encodes conversations for a model; only its tokenizer and its picture processor are loaded.

    Args:
        path: Checkpoint folder or hub id, see `qvl.models.resolve_model`.
        model_type: Name of the architecture in ms-swift.
        form: How pictures are shown and answers written.
    """
    quiet_upstream()
    distrust_remote_code()
    from swift.model import get_model_processor
    from swift.template import get_template

    processor: Any
    with quiet_loading():  # upstream uses a name that transformers warns of
        _, processor = get_model_processor(path, load_model=False, model_type=model_type, use_hf=True)
    template = get_template(processor)
    template.set_mode("train")
    template.image_token_id = processor.image_token_id
    template.video_token_id = processor.video_token_id
    return ConversationEncoder(template, form)


def distrust_remote_code() -> None:
    """Upstream's loaders run code that comes with a checkpoint unless told otherwise."""
    from swift.model.register import BaseModelLoader

    BaseModelLoader.default_trust_remote_code = False
