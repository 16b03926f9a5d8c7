"""A folder of wheels for a GPU machine without a package index: `python tests/benchmarks/gpu/wheels.py FOLDER`.

The list is what a training run imports here, in the versions that are installed here, without what a machine with torch
and transformers has already: `--have FILE`, the output of `pip list` there, says that better. Only wheels for the
Python over there or for any are taken; what has none is built here if it is pure Python. The folder may have 64 MiB.
There: `python3 -m pip install --no-index --no-deps FOLDER/*.whl`, then `python3 tests/benchmarks/gpu/run_all.py`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import packages_distributions, version
from pathlib import Path

MOST_BYTES = 64 * 2**20
LATER = ("hydra", "omegaconf", "antlr4", "qwen_vl_utils", "trl", "datasets", "shapely", "hotcoco", "imagehash", "pywt")
"""Modules that are imported in the middle of a run only."""

PRESENT = """
    absl-py accelerate aiohappyeyeballs aiohttp aiosignal annotated-doc anyio attrs build certifi charset-normalizer
    click cloudpickle colorama contourpy cuda-bindings cuda-core cuda-pathfinder cuda-toolkit cycler cython einops
    execnet filelock fonttools frozenlist fsspec grpcio h11 hf-xet httpcore httpx huggingface-hub hypothesis idna
    iniconfig jinja2 joblib kiwisolver lxml markdown markdown-it-py markupsafe matplotlib mdurl mpmath msgpack
    multidict networkx ninja nvidia-ml-py numba numpy opencv-python-headless packaging pandas peft pillow pip pluggy
    propcache protobuf psutil pyarrow pybind11 pygments pyparsing pytest pytest-xdist python-dateutil pyyaml regex
    requests rich safetensors scikit-image scikit-learn scipy sentencepiece setuptools shellingham simplejson six
    sortedcontainers sympy tensorboard tensorboard-data-server threadpoolctl tiktoken tokenizers torch torchvision
    tqdm transformers triton typer typing-extensions typing-inspect urllib3 werkzeug wheel wrapt xxhash yarl zipp
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="version over there")
    parser.add_argument("--have", type=Path, help="pip list of the machine")
    parser.add_argument("--list", action="store_true", help="only tell what would be taken along")
    chosen = parser.parse_args()
    present = names_in(chosen.have.read_text() if chosen.have else "\n".join(PRESENT.split()))
    names = sorted(distributions([*imported_modules(), *LATER]) - present - {"qvl"})
    sys.stdout.write("".join(f"{name}=={version(name)}\n" for name in names))
    return 0 if chosen.list else collect(names, chosen.folder, python=chosen.python)


def imported_modules() -> list[str]:
    """Return the top-level modules that a training run has imported before its first step."""
    code = "import sys; from qvl.training.preload import preload; preload(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted({name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()})


def distributions(modules: Iterable[str]) -> set[str]:
    """Return the normalised names of the installed packages that modules come from."""
    known = packages_distributions()
    return {normalised(name) for module in modules for name in known.get(module, [])}


def normalised(name: str) -> str:
    """Return the name of a package as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names_in(listing: str) -> set[str]:
    """Return the packages of a `pip list` or `pip freeze`."""
    words = (re.match(r"[A-Za-z0-9][\w.-]*", line.strip()) for line in listing.splitlines())
    return {normalised(word[0]) for word in words if word}


def collect(names: Sequence[str], folder: Path, *, python: str) -> int:
    """Fetch wheels, tell what has none and how large they are together, and return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if not fetch(f"{name}=={version(name)}", folder, python=python)]
    total, most = size(folder), MOST_BYTES / 2**20
    for path in sorted(folder.glob("*.whl"), key=lambda path: -path.stat().st_size)[:5]:
        sys.stdout.write(f"{path.stat().st_size / 2**20:6.1f} MiB  {path.name}\n")
    sys.stdout.write(f"{total / 2**20:.1f} of {most:.0f} MiB; without a wheel: {', '.join(missing) or 'nothing'}\n")
    return int(bool(missing) or total > MOST_BYTES)


def fetch(pinned: str, folder: Path, *, python: str) -> bool:
    """Get the wheel of a package into a folder; returns whether there is one that fits."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    platforms = [word for glibc in (17, 24, 27, 28) for word in ("--platform", f"manylinux_2_{glibc}_x86_64")]
    fits = ["--only-binary=:all:", "--python-version", python, "--platform", "manylinux2014_x86_64", *platforms]
    if not subprocess.run([*pip, "download", "--no-deps", *fits, "--dest", folder, pinned]).returncode:
        return True
    before = set(folder.iterdir())
    built = subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, pinned])
    made = set(folder.iterdir()) - before
    for path in made:
        if not path.name.endswith("-none-any.whl"):
            path.unlink()  # for the Python and the libraries here
    return not built.returncode and all(path.exists() for path in made)


def size(folder: Path) -> int:
    """Return the bytes of the wheels in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.whl"))


if __name__ == "__main__":
    sys.exit(main())
