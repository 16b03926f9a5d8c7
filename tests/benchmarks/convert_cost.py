"""Cost of a conversion: `python tests/benchmarks/convert_cost.py [--pictures N] [--hashes N] [--json FILE]`.

A COCO source of N generated JPEG files (640 x 480, 7 objects each, polygons) is converted in several ways, in turn. The
unit is one thread that decodes all these files: a conversion cannot check a picture for less. Then near-duplicates
are searched in hashes of three kinds: by chance, of films (every picture with 9 like it), and of nearly flat pictures.
Each measurement runs in a process of its own, so that its memory can be told.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480
OBJECTS = 7
WAYS: dict[str, dict[str, object]] = {
    "link": {},
    "link, near-duplicates not looked for": {"distance": None},
    "copy": {"pictures": "copy"},
    "made smaller, 512 x 384": {"max_pixels": 512 * 384, "min_pixels": 4096},
}
KINDS = ("by chance", "films", "nearly flat")


def write_picture(job: tuple[Path, int]) -> None:
    folder, number = job
    chance = np.random.default_rng(number)
    rough = Image.fromarray(chance.integers(0, 256, size=(30, 40, 3), dtype=np.uint8))
    rough.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(folder / f"{number:06d}.jpg", quality=90)


def write_source(folder: Path, count: int) -> None:
    """Write pictures and `instances.json`."""
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_picture, ((folder, number) for number in range(count)), chunksize=100))
    chance = np.random.default_rng(0)
    turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    annotations = []
    for number in range(count * OBJECTS):
        x, y, radius = chance.uniform(60, WIDTH - 60), chance.uniform(60, HEIGHT - 60), chance.uniform(10, 60)
        ring = np.stack([x + radius * np.cos(turns), y + radius * np.sin(turns)], axis=1).round(2).ravel().tolist()
        box = [x - radius, y - radius, 2 * radius, 2 * radius]
        annotations.append(
            {
                "id": number + 1,
                "image_id": number // OBJECTS,
                "category_id": 1 + number % 3,
                "segmentation": [ring],
                "bbox": box,
                "area": 3.1 * radius**2,
                "iscrowd": 0,
            }
        )
    images = [{"id": n, "file_name": f"{n:06d}.jpg", "width": WIDTH, "height": HEIGHT} for n in range(count)]
    categories = [{"id": n, "name": name} for n, name in enumerate(("screw", "cable", "标签"), 1)]
    source = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(source), encoding="utf-8")


def decode_all(folder: Path) -> int:
    paths = sorted(folder.glob("*.jpg"))
    for path in paths:
        with Image.open(path) as image:
            image.load()
    return len(paths)


def convert_all(folder: Path, way: str) -> int:
    from qvl.conversion import (
        CocoSource,
        ConversionSettings,
        DescriptionTemplate,
        ObjectSettings,
        RowSettings,
        SplitSettings,
        convert,
    )

    values = WAYS[way]
    rows = RowSettings(
        objects=ObjectSettings(template=DescriptionTemplate("{category}")),
        with_hash=values.get("distance", 3) is not None,
    )
    settings = ConversionSettings(rows=rows, split=SplitSettings(val=0.1, test=0.1), **values)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        report = convert(CocoSource(path=str(folder / "instances.json")), Path(out) / "out", settings).report
    return report.rows_out


def hashes_of(kind: str, count: int) -> list[int]:
    chance = np.random.default_rng(1)
    one = np.uint64(1)
    if kind == "films":
        scenes = np.repeat(chance.integers(0, 2**64, size=count // 10 + 1, dtype=np.uint64), 10)[:count]
        return (scenes ^ (one << chance.integers(0, 64, size=count, dtype=np.uint64))).tolist()
    if kind == "nearly flat":  # one in ten has at most 3 bits, of all others none is alike
        hashes = chance.integers(0, 2**64, size=count, dtype=np.uint64)
        few = chance.integers(0, 64, size=(count // 10, 3), dtype=np.uint64)
        hashes[: count // 10] = np.bitwise_or.reduce(one << few, axis=1)
        return hashes.tolist()
    return chance.integers(0, 2**64, size=count, dtype=np.uint64).tolist()


def timed(work: Callable[[], int]) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return {
        "count": count,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Run one measurement; called in a fresh process."""
    if options.kind:
        from qvl.conversion.duplicates import near_duplicates

        hashes = hashes_of(options.kind, options.hashes)
        return timed(lambda: len(near_duplicates(hashes, distance=3)))
    if options.way == "decode":
        return timed(lambda: decode_all(options.folder))
    return timed(lambda: convert_all(options.folder, options.way))


def in_new_process(*words: str) -> dict[str, float]:
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(folder: Path, num_hashes: int) -> dict[str, dict[str, dict[str, float]]]:
    place = ("--folder", str(folder))
    conversions = {way: in_new_process("--way", way, *place) for way in ("decode", *WAYS)}
    unit = conversions["decode"]["cpu_seconds"]
    for result in conversions.values():
        result["cpu_of_decode"] = result["cpu_seconds"] / unit
        result["per_second"] = result["count"] / result["seconds"]
    searches = {kind: in_new_process("--kind", kind, "--hashes", str(num_hashes)) for kind in KINDS}
    return {"conversions": conversions, "searches": searches}


def table(result: dict[str, dict[str, dict[str, float]]]) -> str:
    lines = ["| conversion | rows | rows a second | CPU s | x decoding | peak MB |", "|---|---:|---:|---:|---:|---:|"]
    for way, fact in result["conversions"].items():
        lines.append(
            f"| {way} | {fact['count']} | {fact['per_second']:.0f} | {fact['cpu_seconds']:.1f} "
            f"| {fact['cpu_of_decode']:.2f} | {fact['peak_mb']:.0f} |"
        )
    lines += ["", "| hashes | pairs | seconds | peak MB |", "|---|---:|---:|---:|"]
    for kind, fact in result["searches"].items():
        lines.append(f"| {kind} | {fact['count']} | {fact['seconds']:.1f} | {fact['peak_mb']:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=5_000)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="where the result is written")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way or options.kind:
        sys.stdout.write(json.dumps(measure(options)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        write_source(source, options.pictures)
        result = compare(source, options.hashes)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(result))


if __name__ == "__main__":
    main()
