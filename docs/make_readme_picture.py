"""Writes docs/images/readme.png: a demo scene with its objects, and the answer that the model is trained to give."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from qvl.conversation import TextObject, render_answer, text_objects
from qvl.data import DemoScenes
from qvl.records import JsonlFile, Record, category, parse_row
from qvl.runtime import open_image
from qvl.visualization import Mark, default_font, draw_marks, readable_on

PICTURE = Path(__file__).parent / "images" / "readme.png"
STYLE, SEED, SCENE = "field", 7, 44
COLORS = ("#ffd000", "#00d0a4", "#ff6fb0", "#7cc4ff", "#ff9340", "#c0ee4c")  # one an object, read well on grey

# Twice the size at which GitHub shows it.
FACTOR = 4  # scene pixels to page pixels
MARGIN, GAP, TEXT_WIDTH = 24, 40, 610
FONT_SIZE, LINE_HEIGHT, SPACING, CHIP = 28, 35, 10, 44
PAGE, INK, FAINT = "#ffffff", "#1f2430", "#6b7280"
PALETTE = Image.Quantize.MAXCOVERAGE  # keeps rare colours, such as that of a cable


def main() -> None:
    """Write the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    make().quantize(256, method=PALETTE, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


def make() -> Image.Image:
    """Return scene and answer side by side."""
    with tempfile.TemporaryDirectory() as folder:
        record = _record(Path(folder))
        picture = open_image(record.images[0])
    items = text_objects(record)
    size = (picture.width * FACTOR, picture.height * FACTOR)
    marks = [
        Mark(item.shape(), color, str(number), category(item.desc))
        for number, (item, color) in enumerate(zip(items, COLORS, strict=True), 1)
    ]
    large = picture.resize(size, Image.Resampling.NEAREST)  # every other filter makes the file several times larger
    scene = draw_marks(large, marks, extent=(1000, 1000), line_width=6, font_size=30)
    canvas = Image.new("RGB", (MARGIN + size[0] + GAP + TEXT_WIDTH + MARGIN, size[1] + 2 * MARGIN), PAGE)
    canvas.paste(scene, (MARGIN, MARGIN))
    _write_answer(canvas, items, left=MARGIN + size[0] + GAP)
    return canvas


def _record(folder: Path) -> Record:
    """Generate the scenes and read one of them."""
    DemoScenes(root=str(folder / "demo"), style=STYLE, seed=SEED, splits={"train": SCENE + 1}).prepare()
    rows = JsonlFile(folder / "demo" / "train.jsonl")
    return parse_row(rows.row(SCENE), source=rows.source(SCENE), root=str(folder / "demo"))


def _write_answer(canvas: Image.Image, items: Sequence[TextObject], *, left: int) -> None:
    """Write the answer, a new line for each object, with the colour of its shape beside it."""
    draw, font = ImageDraw.Draw(canvas), default_font(FONT_SIZE)
    paragraphs = _paragraphs(items)
    num_lines = 1 + sum(len(_wrap(text)) for text in paragraphs)
    top = (canvas.height - num_lines * LINE_HEIGHT - len(paragraphs) * SPACING) // 2
    draw.text((left, top), "The JSON answer, on a 0..1000 grid:", font=font, fill=FAINT)
    for number, (text, color) in enumerate(zip(paragraphs, COLORS, strict=True), 1):
        top += SPACING
        chip = (left, top + LINE_HEIGHT, left + CHIP - 12, top + 2 * LINE_HEIGHT)
        draw.rectangle(chip, fill=color)
        middle = ((chip[0] + chip[2]) / 2, (chip[1] + chip[3]) / 2)
        draw.text(middle, str(number), font=font, fill=readable_on(color), anchor="mm")
        for line in _wrap(text):
            top += LINE_HEIGHT
            draw.text((left + CHIP, top), line, font=font, fill=INK)


def _paragraphs(items: Sequence[TextObject]) -> list[str]:
    """Cut the text of the answer in front of every object."""
    answer = render_answer([items], image_label="图片")
    keys = [f'"{key}"' for key in json.loads(answer)]
    cuts = [0, *(answer.index(key) for key in keys[1:]), len(answer)]
    return [answer[start:stop].strip() for start, stop in itertools.pairwise(cuts)]


def _wrap(text: str) -> list[str]:
    """Break a text at blanks where it would leave its column."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if default_font(FONT_SIZE).getlength(longer) <= TEXT_WIDTH - CHIP:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


if __name__ == "__main__":
    main()
