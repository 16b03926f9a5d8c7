"""The form in which pictures are shown and answers are written."""

from __future__ import annotations

from dataclasses import dataclass

from qvl.geometry import GRIDS, model_size

__all__ = ["TurnFormat"]


@dataclass(frozen=True, slots=True)
class TurnFormat:
    """What training and generation have to agree on, besides the prompts.

    Attributes:
        emit_norm: Units of the numbers in the text: `none` (pixels), `norm100` or `norm1000`.
        order: Writing order of the objects.
        image_label: Word in front of a picture's number in grouped answers.
        min_pixels: Area that a smaller picture is enlarged to.
        max_pixels: Area that a larger picture is shrunk to.
        side_factor: Sides of a picture that the model sees are multiples of this, in pixels.
    """

    emit_norm: str
    order: str
    image_label: str
    min_pixels: int
    max_pixels: int
    side_factor: int = 32

    @property
    def grid(self) -> int | None:
        """Cells of the grid in the text, None for pixels."""
        return GRIDS[self.emit_norm]

    @property
    def pixel_limits(self) -> dict[str, int]:
        """The two areas under the names of Qwen's own preprocessing."""
        return {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}

    def model_size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) in pixels at which the model sees a picture.

        Raises:
            ValueError: One side is more than 200 times the other.
        """
        return model_size(
            width, height, factor=self.side_factor, min_pixels=self.min_pixels, max_pixels=self.max_pixels
        )
