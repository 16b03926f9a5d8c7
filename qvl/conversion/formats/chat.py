"""Chat data whose answers hold shapes: `bbox_2d` of Qwen, location tokens of Roboflow's exports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.formats.addresses import picture_path
from qvl.conversion.formats.chat_answers import Answer, Scale, read_answer
from qvl.conversion.formats.chat_rows import addresses, parts, texts
from qvl.conversion.formats.documents import find_picture
from qvl.conversion.formats.fields import pixel_count
from qvl.conversion.formats.jsonl_source import JsonlSource
from qvl.geometry import model_size

__all__ = ["ChatSource"]

GRIDS = {"norm1": 1.0, "norm100": 100.0, "norm1000": 1000.0}
UNITS = ("pixels", *GRIDS, "resized")


class ChatSource(JsonlSource):
    """Conversations about one picture, in the keys of Qwen, LLaVA, OpenAI or Roboflow.

    The answers hold JSON with `bbox_2d`, `poly`, `line` or `point_2d` and a `label`, or location or box tokens. The
    objects of all answers of a row are put together; the questions are left out.
    """

    def __init__(
        self,
        *,
        path: str,
        images: str | None = None,
        units: str = "pixels",
        side_factor: int = 28,
        min_pixels: int = 3136,
        max_pixels: int = 12845056,
    ) -> None:
        """Say where the conversations lie and what their numbers mean.

        Args:
            path: A JSONL file, a JSON file with a list of rows, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the conversations.
            units: pixels of the file; norm1, norm100 or norm1000 for a grid over the picture; resized for pixels of the
                picture as Qwen2.5-VL reads it, whose size is computed from `width` and `height` of the row, unless it
                says `resized_width` and `resized_height`. Location tokens bring their own units.
            side_factor: Of units=resized: multiple of both sides.
            min_pixels: Of units=resized: least area.
            max_pixels: Of units=resized: greatest area.

        Raises:
            ValueError: `units` is none of its choices.
        """
        super().__init__(path=path, images=images)
        if units not in UNITS:
            raise ValueError(f"units must be one of {', '.join(UNITS)}, got {units!r}")
        self.units = units
        self.side_factor = side_factor
        self.min_pixels = min_pixels
        self.max_pixels = max_pixels

    def pictures(self, row: Mapping[str, object], *, file: Path, where: str) -> Iterator[Annotated | Refused]:
        """Yield the picture of a row."""
        named = addresses(row)
        found = picture_path(named[0]) if len(named) == 1 else None
        if len(named) > 1:
            yield Refused(where, "many_images", f"a row is about one picture, got {len(named)}", named)
            return
        if found is None:
            yield Refused(where, "no_picture_named", "no key of the row leads to the file of a picture", named)
            return
        width, height = _side(row, "width"), _side(row, "height")
        scale = self._scale(row, width, height)
        if isinstance(scale, str):
            yield Refused(where, "no_size", scale)
            return
        read = [read_answer(text, scale=scale, where=where) for text in texts(row)]
        answers = [answer for answer in read if answer is not None]
        if len({answer.unit for answer in answers}) != 1:
            message = "the answers count in different units" if answers else "no answer of the row holds shapes"
            yield Refused(where, "mixed_units" if answers else "no_answer", message, texts(row))
            return
        name, mended = found
        yield Annotated(
            image=find_picture(self, file, [name]),
            where=where,
            objects=tuple(each for answer in answers for each in answer.objects),
            refused=tuple(each for answer in answers for each in answer.refused),
            width=width,
            height=height,
            unit=answers[0].unit,
            repairs=(*mended, *_repairs(answers)),
            split=self.split(file),
        )

    def _scale(self, row: Mapping[str, object], width: int | None, height: int | None) -> Scale | str:
        """Return what the numbers of a row are of, or why that is not known."""
        if self.units in GRIDS:
            return Scale("share", GRIDS[self.units], GRIDS[self.units])
        if self.units == "pixels":
            return Scale()
        entry: Mapping[str, object] = next(iter([*parts(row), row]))
        across, down = _side(entry, "resized_width"), _side(entry, "resized_height")
        if across and down:
            return Scale("share", across, down)
        if not width or not height:
            return "units=resized needs width and height, or resized_width and resized_height, in the row"
        try:
            sides = model_size(
                width, height, factor=self.side_factor, min_pixels=self.min_pixels, max_pixels=self.max_pixels
            )
        except ValueError as error:
            return str(error)
        return Scale("share", *sides)


def _side(row: Mapping[str, object], key: str) -> int | None:
    """Return a width or height of a row; of a list with one number that one."""
    value = row.get(key)
    return pixel_count(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _repairs(answers: list[Answer]) -> tuple[str, ...]:
    return tuple(code for answer in answers for code in answer.repairs)
