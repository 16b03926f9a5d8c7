"""Rows of a large JSONL file by four ways: `python tests/benchmarks/jsonl_index.py [--rows N] [--json FILE]`.

Each way runs in processes of its own: time and CPU until the first sample is there (imports apart), then one epoch in
random order with four forked workers, at whose end the memory of parent and workers is added up (PSS: shared pages
count once). Ratios are to plain json; the ways alternate in one run. Temporary files need about 10 kB a row.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

NUM_WORKERS = 4
ROUNDS = 3
WAYS = {
    "copies": "json, all rows, paths resolved, each row copied when read",
    "json": "json, all rows",
    "datasets_cold": "HF datasets, first time",
    "datasets": "HF datasets, again",
    "index_cold": "qvl index, first time",
    "index": "qvl index, again",
}


class Rows(Protocol):
    """What each way gives."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> object: ...


class Copies:
    """All rows in memory, handed out as copies, as loaders do that let transforms change rows."""

    def __init__(self, rows: list[dict[str, object]]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> object:
        return copy.deepcopy(self.rows[index])


def load_json(path: Path, cache: Path) -> Rows:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def load_copies(path: Path, cache: Path) -> Rows:
    rows = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            row["images"] = [str((path.parent / image).resolve()) for image in row["images"]]
            rows.append(row)
    return Copies(rows)


def load_datasets(path: Path, cache: Path) -> Rows:
    from datasets import load_dataset

    return load_dataset("json", data_files=str(path), cache_dir=str(cache), split="train")


class Indexed:
    """Our rows under the name that the others have."""

    def __init__(self, path: Path, cache: Path) -> None:
        from qvl.records import JsonlFile

        self.file = JsonlFile(path, cache=cache)

    def __len__(self) -> int:
        return len(self.file)

    def __getitem__(self, index: int) -> object:
        return self.file.row(index)


LOADERS: dict[str, Callable[[Path, Path], Rows]] = {
    "copies": load_copies,
    "json": load_json,
    "datasets": load_datasets,
    "index": Indexed,
}

LIBRARIES = {"copies": "json", "json": "json", "datasets": "datasets", "index": "qvl.records"}


def write_rows(path: Path, count: int) -> None:
    """Write rows of about 1.2 kB."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            boxes = [
                {"desc": f"类别=螺丝,编号={number}-{one},状态=完好", "bbox_2d": [one, 2 * one, one + 50, 2 * one + 40]}
                for one in range(13)
            ]
            line = {"desc": "类别=线缆", "line": [number % 900 + 0.5, 3.25, 77.5, 700, 901, 702.75]}
            row = {"images": [f"images/{number:07d}.jpg"], "objects": [*boxes, line], "width": 1920, "height": 1080}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def pss(process: int) -> int:
    """Return the proportional set size of a process in bytes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def cpu_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def read_share(rows: Rows, indices: np.ndarray, arrived: object, leave: object) -> None:
    for index in indices.tolist():
        rows[index]
    arrived.wait()  # type: ignore[attr-defined]
    leave.wait()  # type: ignore[attr-defined]


def measure(way: str, path: Path, cache: Path, *, epoch: bool) -> dict[str, float]:
    """Run one way in this process; called in a fresh one."""
    started = time.perf_counter()
    importlib.import_module(LIBRARIES[way.removesuffix("_cold")])
    imported, began = time.perf_counter(), cpu_seconds()
    rows = LOADERS[way.removesuffix("_cold")](path, cache)
    assert rows[len(rows) // 2]
    result = {
        "imports_s": imported - started,
        "first_s": time.perf_counter() - imported,
        "first_cpu_s": cpu_seconds() - began,
    }
    if not epoch:
        return result
    context = multiprocessing.get_context("fork")
    arrived, leave = context.Barrier(NUM_WORKERS + 1), context.Barrier(NUM_WORKERS + 1)
    shares = np.array_split(np.random.default_rng(0).permutation(len(rows)), NUM_WORKERS)
    workers = [context.Process(target=read_share, args=(rows, share, arrived, leave)) for share in shares]
    for worker in workers:
        worker.start()
    arrived.wait()
    result["pss_bytes"] = sum(map(pss, [os.getpid(), *(worker.pid or 0 for worker in workers)]))
    leave.wait()
    for worker in workers:
        worker.join()
    return result


def in_new_process(way: str, path: Path, cache: Path, *, epoch: bool) -> dict[str, float]:
    command = [sys.executable, __file__, "--way", way, "--path", str(path), "--cache", str(cache)]
    environ = os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run([*command, *["--epoch"] * epoch], env=environ, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path, count: int) -> dict[str, object]:
    path = folder / "rows.jsonl"
    write_rows(path, count)
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way in WAYS:
            cache = folder / f"{way.removesuffix('_cold')}_{number}"
            runs[way].append(in_new_process(way, path, cache, epoch=number == 0))
    size = path.stat().st_size
    facts: dict[str, dict[str, float]] = {
        way: {key: statistics.median(run[key] for run in results if key in run) for key in results[0]}
        for way, results in runs.items()
    }
    for fact in facts.values():
        fact["first_of_json"] = fact["first_s"] / facts["json"]["first_s"]
        fact["cpu_of_json"] = fact["first_cpu_s"] / facts["json"]["first_cpu_s"]
        fact["pss_of_file"] = fact["pss_bytes"] / size
    return {"rows": count, "file_bytes": size, "workers": NUM_WORKERS, "rounds": ROUNDS, "ways": facts}


def table(result: dict[str, object]) -> str:
    lines = [
        f"{result['rows']} rows, {int(str(result['file_bytes'])) / 1e6:.0f} MB, {NUM_WORKERS} workers",
        "",
        "| way | imports s | first sample s | ratio | CPU s | ratio | PSS at the end of an epoch, MB | of the file |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ways = result["ways"]
    assert isinstance(ways, dict)
    for way, fact in ways.items():
        times = f"{fact['imports_s']:.2f} | {fact['first_s']:.4f} | {fact['first_of_json']:.5f}"
        cpu = f"{fact['first_cpu_s']:.4f} | {fact['cpu_of_json']:.5f}"
        memory = f"{fact['pss_bytes'] / 1e6:.0f} | {fact['pss_of_file']:.2f}"
        lines.append(f"| {WAYS[way]} | {times} | {cpu} | {memory} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="where the result is written")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--epoch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        sys.stdout.write(json.dumps(measure(options.way, options.path, options.cache, epoch=options.epoch)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        result = compare(Path(folder), options.rows)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(result))


if __name__ == "__main__":
    main()
