"""What a model sees: the encoded answer, read back, over the encoded pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from qvl.conversation import TextObject, parse_answer
from qvl.data import Turn
from qvl.health import IGNORED
from qvl.inspection import SeenPicture, SeenTurn
from qvl.training.encoding import ConversationEncoder

if TYPE_CHECKING:
    import torch
    from transformers import Qwen2VLImageProcessor

__all__ = ["ModelView", "pictures_of"]


class ModelView:
    """Encodes turns as training does, and turns the result back into pictures and objects.

    Nothing is taken from the annotation: pixels come from `pixel_values`, objects from the tokens that are trained on.
    """

    def __init__(self, encoder: ConversationEncoder) -> None:
        """Take the template of a model.

        Args:
            encoder: In training mode, not raw.
        """
        self.encoder = encoder

    def __call__(self, turn: Turn) -> SeenTurn:
        """Return what the model is given for a turn.

        Raises:
            HealthError: A health check of training fails.
            ValueError: The model cannot be shown a picture of that shape.
        """
        with self.encoder.without_limit():
            encoded = self.encoder.encode(turn, check=True)
        tokens, labels = encoded["input_ids"], encoded["labels"]
        supervised = [token for token, label in zip(tokens, labels, strict=True) if label != IGNORED]
        answer: str = self.encoder.template.tokenizer.decode(supervised)
        answer = answer.removesuffix("".join(self.encoder.template.template_meta.suffix))
        grids = [tuple(row) for row in encoded["image_grid_thw"].tolist()] if turn.pictures else []
        merge = self.encoder.template.processor.image_processor.merge_size**2
        return SeenTurn(
            answer=answer,
            num_tokens=len(tokens),
            num_answer_tokens=len(supervised),
            pictures=tuple(
                SeenPicture(image, self._extent(record.width, record.height), objects, rows * columns // merge)
                for image, record, objects, (_, rows, columns) in zip(
                    self._images(encoded, grids), turn.records, self._objects(turn, answer), grids, strict=True
                )
            ),
        )

    def _images(self, encoded: dict[str, Any], grids: Sequence[tuple[int, int, int]]) -> list[Image.Image]:
        if not grids:
            return []
        return pictures_of(encoded["pixel_values"], grids, self.encoder.template.processor.image_processor)

    def _extent(self, width: int, height: int) -> tuple[float, float]:
        """Return (width, height) of a picture in the units of the answer."""
        grid = self.encoder.form.grid
        return (float(width), float(height)) if grid is None else (float(grid), float(grid))

    def _objects(self, turn: Turn, answer: str) -> list[tuple[TextObject, ...]]:
        if turn.mode != "dense":
            return [()] * len(turn.records) if turn.pictures else []
        found = parse_answer(answer, image_label=self.encoder.form.image_label).images
        return [found[number] if number < len(found) else () for number in range(len(turn.records))]


def pictures_of(
    patches: torch.Tensor, grids: Sequence[tuple[int, int, int]], processor: Qwen2VLImageProcessor
) -> list[Image.Image]:
    """Undo what a processor did to pictures: the same pixels come out, rounded to whole numbers.

    Args:
        patches: (patches of all pictures, 3 x frames x patch size^2), normalised.
        grids: (frames, rows, columns) of patches of each picture; the first frame is taken.
        processor: What made the patches.

    Returns:
        RGB pictures of the size that the model sees.
    """
    size, merge, frames = int(processor.patch_size), int(processor.merge_size), int(processor.temporal_patch_size)
    scale = 1.0 / processor.rescale_factor
    mean, std = (np.array(values) * scale for values in (processor.image_mean, processor.image_std))
    images, start = [], 0
    for times, rows, columns in grids:
        count = times * rows * columns
        own = patches[start : start + rows * columns].float().numpy()
        cells = own.reshape(rows // merge, columns // merge, merge, merge, 3, frames, size, size)[:, :, :, :, :, 0]
        pixels = cells.transpose(0, 2, 5, 1, 3, 6, 4).reshape(rows * size, columns * size, 3) * std + mean
        images.append(Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)))
        start += count
    return images
