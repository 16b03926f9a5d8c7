"""Rows for whole trainings, for qvl and, with the same texts, for ms-swift."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1]))

from side_by_side import HEIGHT, WIDTH, annotations, photo

ROWS = "rows.jsonl"
SWIFT_ROWS = "swift.jsonl"


def write_all(folder: Path, count: int, *, ragged: bool, most: int = 80) -> None:
    """Write pictures, rows, and rows of ms-swift with the messages that qvl makes of them.

    Args:
        folder: Where to.
        count: Number of pictures.
        ragged: Whether sizes and numbers of objects differ, as they do in annotated pictures.
        most: Objects of a picture.
    """
    with ProcessPoolExecutor() as executor:
        rows = list(executor.map(partial(write_picture, folder, ragged=ragged, most=most), range(count)))
    (folder / ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = open_rows(folder)
    with ThreadPoolExecutor() as executor:
        lines = list(executor.map(lambda number: swift_row(dataset[number], folder), range(count)))
    (folder / SWIFT_ROWS).write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def write_picture(folder: Path, seed: int, *, ragged: bool, most: int) -> dict[str, object]:
    """Write a JPEG and return its row."""
    picture, width, height = Image.fromarray(photo(seed)), WIDTH, HEIGHT
    objects = annotations(seed)[:most]
    if ragged:
        draw = np.random.default_rng(seed)
        share = draw.uniform(0.15, 1.0)
        width, height = round(WIDTH * share), round(HEIGHT * share * draw.uniform(0.5, 1.0))
        picture = picture.resize((width, height))
        number = int(np.clip(draw.lognormal(2.7, 0.8), 1, most))
        more = [item for other in range(4) for item in annotations(1000 * seed + other)]
        objects = [moved(item, width / WIDTH, height / HEIGHT) for item in more[:number]]
    name = f"{seed}.jpg"
    picture.save(folder / name, quality=90)
    return {"images": [name], "objects": objects, "width": width, "height": height}


def moved(item: dict[str, Any], x: float, y: float) -> dict[str, Any]:
    """Return an object of a picture that was made smaller; sides stay a pixel long."""
    key, flat = next((key, value) for key, value in item.items() if key != "desc")
    points = np.array(flat, float).reshape(-1, 2) * (x, y)
    if key == "bbox_2d":
        points[1] = np.maximum(points[1], points[0] + 1)
    return {"desc": item["desc"], key: [round(float(number), 2) for number in points.ravel()]}


def open_rows(folder: Path) -> Any:
    """Return the rows as the recipe sees them."""
    from qvl.command import compose
    from qvl.opening import OpenedData
    from qvl.schema import register_schema

    register_schema()
    files = [f"data.{split}.path={folder / ROWS}" for split in ("train", "val")]
    return OpenedData(
        compose(["+recipe=stage2_lora", "data.prepare=null", "data.images_per_user_turn=1", *files]), augmented=False
    ).train()


def swift_row(turn: Any, folder: Path) -> dict[str, object]:
    """Return the messages of a turn as texts, with a mark where the picture stands."""
    parts = turn.inputs["messages"]
    messages = [{"role": message["role"], "content": text_of(message["content"])} for message in parts]
    return {"messages": messages, "images": [str(folder / Path(turn.records[0].images[0]).name)]}


def text_of(content: Any) -> str:
    """Return a content as one text."""
    if isinstance(content, str):
        return content
    return "".join("<image>" if part["type"] == "image" else part["text"] for part in content)
