"""Cost of checking and measuring data before the first step: `python tests/benchmarks/check_cost.py [OUT.json]`.

Generated 1920 x 1080 JPEGs with 20 objects each: the check that decodes them, by one process and by one for each core,
and again with what an earlier run has kept; then the measuring of rows, and that again. Each way is timed several
times in turn; seconds of the clock and of all processors. Pictures are in the page cache, so reading them costs little.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from full_sample import FORM, load_template, make_turns
from side_by_side import write_rows

from qvl.data import CheckedRows, KeepAll
from qvl.runtime import available_cpus
from qvl.training.encoding import ConversationEncoder
from qvl.training.lengths import measure

PICTURES, COPIES = 12, 12
"""Pictures that differ, and how often each is written under a name of its own."""

ROWS = 2_500
ROUNDS = 2
OUT = Path("multirun_outputs/benchmarks/check_cost.json")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, cache, cold = Path(name), Path(name, "cache"), Path(name, "cold")
        small = write_rows(folder, PICTURES)
        rows = many_pictures(folder, small)
        time.sleep(4)  # files that are younger are not remembered
        encoder = ConversationEncoder(load_template(folder), FORM)
        check(rows, cache=cache, processes=available_cpus())
        count(folder, small, encoder, cache)
        cases: dict[str, Callable[[], None]] = {
            "check, one process": lambda: check(rows, cache=None, processes=1),
            f"check, {available_cpus()} processes": lambda: check(rows, cache=None, processes=available_cpus()),
            "check, kept for later": lambda: check(rows, cache=cold, processes=1),
            "check, again, one process": lambda: check(rows, cache=cache, processes=1),
            "check, again, files copied": lambda: check(copied, cache=cache, processes=1),
            "measure": lambda: count(folder, small, encoder, None),
            "measure, again": lambda: count(folder, small, encoder, cache),
        }
        found: dict[str, list[tuple[float, float]]] = {case: [] for case in cases}
        for _ in range(ROUNDS):
            copied = moved(folder)  # younger than what is remembered
            for case, work in cases.items():
                shutil.rmtree(cold, ignore_errors=True)
                began = time.perf_counter(), cpu()
                work()
                found[case].append((time.perf_counter() - began[0], cpu() - began[1]))
    report(found, Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)


def many_pictures(folder: Path, small: Path) -> Path:
    lines = []
    for line in small.read_text().splitlines():
        row = json.loads(line)
        for copy in range(COPIES):
            picture = f"{copy}_{row['images'][0]}"
            data = (folder / row["images"][0]).read_bytes()
            (folder / picture).write_bytes(data + bytes([copy]))  # bytes behind the end: other content, same pixels
            lines.append(json.dumps(row | {"images": [picture]}))
    (folder / "many.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "many.jsonl"


def moved(folder: Path) -> Path:
    """Return the rows in a folder of another name: known by their content only."""
    other = folder / f"other{time.monotonic_ns()}"
    other.mkdir()
    for path in folder.glob("*_*.jpg"):
        shutil.copy(path, other)
    return Path(shutil.copy(folder / "many.jsonl", other))


def check(rows: Path, *, cache: Path | None, processes: int) -> None:
    found = CheckedRows(str(rows), preprocessor=KeepAll(), cache=cache).check(processes=processes)
    assert found == [], found[0]


def count(folder: Path, small: Path, encoder: ConversationEncoder, cache: Path | None) -> None:
    lines = small.read_text().splitlines()
    path = folder / "rows_to_measure.jsonl"
    path.write_text("\n".join(lines[number % len(lines)] for number in range(ROWS)) + "\n")
    turns = make_turns(path, None)
    turns.parts[0].rows.cache = cache
    measure(turns, encoder)


def cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def report(found: dict[str, list[tuple[float, float]]], out: Path) -> None:
    middle = {case: [statistics.median(column) for column in zip(*times, strict=True)] for case, times in found.items()}
    for case, (wall, used) in middle.items():
        rows = ROWS if case.startswith("measure") else PICTURES * COPIES
        base = middle["measure" if case.startswith("measure") else "check, one process"]
        sys.stdout.write(
            f"{case:28} {wall:7.2f} s, {used / rows * 1e3:7.3f} CPU-ms a row; "
            f"{wall / base[0]:.3f} of the time, {used / base[1]:.3f} of the CPU\n"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {"rounds": found, "load": os.getloadavg()[0], "cpus": available_cpus()}
    out.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
