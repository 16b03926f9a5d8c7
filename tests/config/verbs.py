"""Commands as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_python(*argv: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with qvl at hand."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100", **environment}
    return subprocess.run([sys.executable, *argv], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def run_verb(verb: str, *argv: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m qvl.<verb> argv` in a folder."""
    return run_python("-m", f"qvl.{verb}", *argv, cwd=cwd, **environment)
