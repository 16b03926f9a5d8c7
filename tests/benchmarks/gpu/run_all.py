"""All measurements on a GPU, one after the other: `python tests/benchmarks/gpu/run_all.py [--device cpu --size tiny]`.

Each script has a time limit, together less than 12 minutes. One that fails or runs out of time is named at the end,
with what the others left out, and the next one begins. The exit code is 1 if a script failed. For a machine without a
package index see `wheels.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OUT = Path("multirun_outputs/benchmarks/gpu")
GRACE_S = 15  # what a script may take beyond the time in which it begins new cells


@dataclass(frozen=True)
class Part:
    """A script and what it is given.

    Attributes:
        name: Of its JSON file, without the ending.
        words: The script and its own options.
        seconds: After which it is ended.
    """

    name: str
    words: tuple[str, ...]
    seconds: int


PARTS = (
    Part("step_grid", ("step_grid.py",), 165),
    Part("whole_loop_even", ("whole_loop.py", "--rows", "even"), 220),
    Part("whole_loop_ragged", ("whole_loop.py", "--rows", "ragged"), 150),
    Part("memory", ("memory.py",), 60),
    Part("fork_server", ("fork_server.py",), 90),
    Part("nccl", ("nccl.py",), 30),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--size", default="all")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", default="", help="names of parts, separated by commas")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",") if chosen.only else [part.name for part in PARTS]
    if unknown := set(wanted) - {part.name for part in PARTS}:
        parser.error(f"--only: there is no {sorted(unknown)[0]}, only {', '.join(part.name for part in PARTS)}")
    if chosen.device == "cuda" and not has_gpu():
        parser.error("torch can use no GPU here; --device cpu --size tiny shows whether the scripts work")
    common = ("--device", chosen.device, "--size", chosen.size, "--out", str(chosen.out))
    longer = 1 if chosen.device == "cuda" else 10  # on a CPU it is about the scripts, not about the time
    parts = [replace(part, seconds=longer * part.seconds) for part in PARTS if part.name in wanted]
    return run(parts, common, chosen.out)


def has_gpu() -> bool:
    """Whether torch can use a GPU."""
    import torch

    return bool(torch.cuda.is_available())


def run(parts: list[Part], common: tuple[str, ...], out: Path) -> int:
    """Run parts one after the other, tell what was not measured, and return the exit code."""
    begun, missing, failed = time.monotonic(), [], 0
    for part in parts:
        (out / f"{part.name}.json").unlink(missing_ok=True)
        cause = start(part, common)
        failed += cause is not None
        missing += [f"{part.name}: {what}" for what in ([cause] if cause else []) + left_out(out, part.name)]
    told = "".join(f"- {line}\n" for line in missing) or "- nothing\n"
    minutes = (time.monotonic() - begun) / 60
    sys.stdout.write(f"\n## Not measured\n\n{told}\n{len(parts)} scripts in {minutes:.1f} minutes, {failed} failed\n")
    out.mkdir(parents=True, exist_ok=True)
    (out / "run_all.json").write_text(json.dumps({"minutes": minutes, "failed": failed, "missing": missing}) + "\n")
    return int(failed > 0)


def start(part: Part, common: tuple[str, ...]) -> str | None:
    """Run one script in a session of its own and return why it failed, None if it did not."""
    limit = ("--seconds", str(max(part.seconds - GRACE_S, 1)))
    command = [sys.executable, str(HERE / part.words[0]), *part.words[1:], *common, *limit]
    sys.stdout.write(f"\n# {part.name}\n")
    sys.stdout.flush()
    with subprocess.Popen(command, env=environment(), start_new_session=True) as process:
        try:
            code = process.wait(part.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            return f"ended after {part.seconds} s"
    return f"exit code {code}" if code else None


def environment() -> Mapping[str, str]:
    """Return the environment of the scripts: qvl is found where it is not installed."""
    path = [str(ROOT), str(ROOT / "launchers"), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {"LOG_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**quiet, **os.environ, "PYTHONPATH": os.pathsep.join(path)}


def left_out(out: Path, name: str) -> list[str]:
    """Return what a script says it did not measure."""
    path = out / f"{name}.json"
    return list(json.loads(path.read_text()).get("missing", [])) if path.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
