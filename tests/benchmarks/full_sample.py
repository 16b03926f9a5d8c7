"""What one sample costs from its file to the encoded turn: `python tests/benchmarks/full_sample.py [OUT.json]`.

CPU time of one thread; all cases alternate in one process, on generated 1920 x 1080 JPEGs with 20 objects and a model
that sees at most 1,048,576 pixels. Aims: "ours, augmented" at most 1/18 of "reference system" and 0.6 of "ms-swift".
"""

from __future__ import annotations

import base64
import io
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageEnhance
from side_by_side import HEIGHT, WIDTH, annotations, ratio, save, table, time_cases, write_rows

from qvl.augmentation import ColorJitter, Compose, HorizontalFlip, Rotate, Scale
from qvl.conversation import DenseBuilder
from qvl.data import JsonlDataset, KeepAll, SampleContext, TurnFormat
from qvl.models import create_tiny_checkpoint
from qvl.prompts import PromptScheme
from qvl.training.encoding import ConversationEncoder

ROUNDS = 24
PICTURES = 6
PROMPT = "List every object."
FORM = TurnFormat("norm1000", "tlbr", "图片", min_pixels=4096, max_pixels=1_048_576)
OUT = Path("multirun_outputs/benchmarks/full_sample.json")


def main() -> None:
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        rows = write_rows(Path(name), PICTURES)
        template = load_template(Path(name))
        bits = sum(path.stat().st_size for path in Path(name).glob("*.jpg")) * 8 / (WIDTH * HEIGHT * PICTURES)
        encoder = ConversationEncoder(template, FORM, raw=True)
        plain, augmented = make_turns(rows, None), make_turns(rows, augmentation())
        files = [Path(name, f"{number}.jpg") for number in range(PICTURES)]
        answers = [plain[number].answer for number in range(PICTURES)]
        draw = np.random.default_rng(0)
        cases: dict[str, Callable[[int], object]] = {
            "JPEG decode alone": lambda k: Image.open(files[k % PICTURES]).load(),
            "ms-swift": lambda k: encode_path(template, str(files[k % PICTURES]), answers[k % PICTURES]),
            "ours": lambda k: encoder.encode(plain[k % PICTURES], check=False),
            "ours, augmented": lambda k: encoder.encode(augmented[k % PICTURES], check=False),
            "reference system": lambda k: reference(template, files[k % PICTURES], answers[k % PICTURES], draw),
        }
        seconds = time_cases(cases, rounds=ROUNDS)
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT, seconds, {"bits_per_pixel": bits, "rounds": ROUNDS})
    sys.stdout.write(table(seconds, to=["JPEG decode alone", "ms-swift", "reference system"]))
    sys.stdout.write(f"\n{bits:.2f} bits a pixel, {ROUNDS} rounds. Augmented: ")
    sys.stdout.write(f"1/{1 / ratio(seconds, 'ours, augmented', 'reference system'):.1f} of the reference system, ")
    sys.stdout.write(f"{ratio(seconds, 'ours, augmented', 'ms-swift'):.2f} of ms-swift without augmentation\n")


def load_template(folder: Path):
    from swift.model import get_model_processor
    from swift.template import get_template

    create_tiny_checkpoint(folder / "tiny", [PROMPT], seed=0)
    _, processor = get_model_processor(str(folder / "tiny"), load_model=False, model_type="qwen3_vl")
    template = get_template(processor)
    template.set_mode("train")
    template.image_token_id = processor.image_token_id
    return template


def augmentation() -> Compose:
    return Compose(
        transforms={
            "hflip": HorizontalFlip(p=0.5),
            "rotate": Rotate(max_degrees=10, p=1.0),
            "scale": Scale(low=0.9, high=1.1, p=1.0),
            "color": ColorJitter(brightness=(0.8, 1.2), contrast=(0.8, 1.2), saturation=(0.8, 1.2), p=1.0),
        }
    )


def make_turns(rows: Path, augmentation: Compose | None) -> JsonlDataset:
    builder = DenseBuilder(prompts=PromptScheme(user=PROMPT))
    context = SampleContext(builder, FORM, 0, augmentation)
    return JsonlDataset(path=str(rows), context=context, preprocessor=KeepAll(), images_per_user_turn=1, shuffle=False)


def encode_path(template, picture: str, answer: str):
    """Encode as ms-swift does by itself: the template opens, shrinks, cuts and normalises the picture."""
    user = [{"type": "image", "image": picture}, {"type": "text", "text": PROMPT}]
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": answer}]
    return template.encode({"messages": messages, "chat_template_kwargs": FORM.pixel_limits}, return_length=True)


def reference(template, path: Path, answer: str, draw: np.random.Generator):
    """Encode as the system before this one: one bicubic warp, colours, and the picture as a PNG in a data URL."""
    inverse = reference_matrix(draw)
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture = picture.transform(
        picture.size, Image.Transform.AFFINE, inverse, Image.Resampling.BICUBIC, fillcolor=(128,) * 3
    )
    for item in annotations(0):
        (flat,) = (value for key, value in item.items() if key != "desc")
        reference_points(flat, inverse)
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhancer(picture).enhance(draw.uniform(0.8, 1.2))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return encode_path(template, url, answer)


def reference_matrix(draw: np.random.Generator) -> tuple[float, ...]:
    """Draw a mirror, a turn and a scale about the centre; returns what Pillow wants, from the canvas to the source."""
    angle, scale = math.radians(draw.uniform(-10, 10)), draw.uniform(0.9, 1.1)
    cos, sin, mirror = math.cos(angle) / scale, math.sin(angle) / scale, draw.choice([-1.0, 1.0])
    middle_x, middle_y = WIDTH / 2, HEIGHT / 2
    a, b, d, e = mirror * cos, mirror * sin, -sin, cos
    return (a, b, middle_x - a * middle_x - b * middle_y, d, e, middle_y - d * middle_x - e * middle_y)


def reference_points(flat: list[int], inverse: tuple[float, ...]) -> list[int]:
    """Move, clamp and round the points of one object, one number at a time."""
    a, b, c, d, e, f = inverse
    determinant = a * e - b * d
    moved = []
    for x, y in zip(flat[::2], flat[1::2], strict=True):
        new_x = (e * (x - c) - b * (y - f)) / determinant
        new_y = (a * (y - f) - d * (x - c)) / determinant
        moved += [round(min(max(new_x, 0), WIDTH - 1)), round(min(max(new_y, 0), HEIGHT - 1))]
    return moved


if __name__ == "__main__":
    main()
