"""Cost of looking at rows: `python tests/benchmarks/validate_cost.py [--rows N] [--json FILE]`.

A file of generated rows (14 objects, about 1.2 kB each) is read by plain json.loads in one process, and by
`qvl.inspection.inspect` with statistics and token lengths, without pictures, in one process and in one for each core.
Ratios are of CPU time to json.loads, so that a busy machine changes them
little; `load` says how busy it was. A temporary file needs 1.2 kB a row.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from qvl.conversation import DenseBuilder
from qvl.data import JsonlDataset, KeepAll, SampleContext, TurnFormat
from qvl.inspection import LookSettings, RowLengths, inspect, load_tokenizer
from qvl.prompts import PromptScheme

TOKENIZER = Path(__file__).parents[2] / "qvl" / "models" / "tiny_checkpoint"
FORM = TurnFormat(
    emit_norm="norm1000", order="tlbr", image_label="图片", min_pixels=4096, max_pixels=401_408, side_factor=32
)


MOST_FOR_ONE = 300_000
"""Rows up to which one process alone is measured too."""


class Spent(NamedTuple):
    """Seconds, by the clock and of the processors."""

    wall: float
    cpu: float


def write_rows(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            boxes = [
                {
                    "desc": f"类别=螺丝,编号={number % 997}-{one},状态=完好",
                    "bbox_2d": [one, 2 * one, one + 50, 2 * one + 40],
                }
                for one in range(0, 260, 20)
            ]
            line = {"desc": "类别=线缆", "line": [number % 900 + 0.5, 3.25, 77.5, 700, 901, 702.75]}
            row = {"images": [f"images/{number:07d}.jpg"], "objects": [*boxes, line], "width": 1920, "height": 1080}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def time_json(path: Path) -> Spent:
    began = begin()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    return spent(began)


def time_inspect(path: Path, folder: Path, *, processes: int, lengths: RowLengths | None) -> Spent:
    prompts = PromptScheme(system="", user="看图", image_label="图片")
    context = SampleContext(builder=DenseBuilder(prompts=prompts), form=FORM, seed=0)
    dataset = JsonlDataset(path=str(path), context=context, preprocessor=KeepAll())
    began = begin()
    (report,) = inspect(
        dataset.parts, settings=LookSettings(images="off"), lengths=lengths, processes=processes, folder=folder
    )
    assert report.statistics.usable.value == len(report.rows)
    return spent(began)


def begin() -> Spent:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))


def spent(began: Spent) -> Spent:
    now = begin()
    return Spent(now.wall - began.wall, now.cpu - began.cpu)


def measure(count: int) -> dict[str, object]:
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "rows.jsonl")
        write_rows(path, count)
        plain = time_json(path)
        lengths = RowLengths(load_tokenizer(str(TOKENIZER)), form=FORM)
        ways: dict[str, tuple[int, RowLengths | None]] = {f"{cores} processes": (cores, lengths)}
        if count <= MOST_FOR_ONE:
            ways |= {"one process": (1, lengths), "one process, no lengths": (1, None)}
        found = {
            way: time_inspect(path, Path(name), processes=processes, lengths=counter)
            for way, (processes, counter) in ways.items()
        }
    facts = {
        way: {
            "wall_s": took.wall,
            "rows_per_s": count / took.wall,
            "cpu_us_a_row": took.cpu / count * 1e6,
            "cpu_of_json": took.cpu / plain.cpu,
        }
        for way, took in found.items()
    }
    return {
        "rows": count,
        "cores": cores,
        "load": os.getloadavg()[0],
        "json_cpu_us_a_row": plain.cpu / count * 1e6,
        "ways": facts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="where the result is written")
    options = parser.parse_args()
    text = json.dumps(measure(options.rows), indent=2) + "\n"
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
