"""Imports point down, and pure packages stay pure."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PURE = ("conversation", "fusion", "geometry", "health", "metrics", "prompts", "records")
EDGES = ("records/jsonl.py",)
"""Files of pure packages that read a disk."""
PURE_LIBRARIES = {"numpy", "shapely"}
MORE_LIBRARIES = {"metrics": {"hotcoco", "scipy"}}
"""Libraries of algorithms that one pure package knows besides, inside functions."""
PURE_MODULES = [
    path
    for package in PURE
    for path in sorted((REPO / "qvl" / package).rglob("*.py"))
    if path.relative_to(REPO / "qvl").as_posix() not in EDGES
]


def modules_of(path: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def test_the_layers_of_pyproject_hold() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command, "lint-imports is missing: install the extra dev"
    done = subprocess.run([command], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_pure_modules() -> None:
    assert len(PURE_MODULES) > 20


@pytest.mark.parametrize("path", PURE_MODULES, ids=lambda path: path.relative_to(REPO / "qvl").as_posix())
def test_a_pure_module_imports_numpy_shapely_and_pure_packages_only(path: Path) -> None:
    names = [*modules_of(path)]
    assert names
    package = path.relative_to(REPO / "qvl").parts[0]
    known = {*sys.stdlib_module_names, *PURE_LIBRARIES, *MORE_LIBRARIES.get(package, ()), "qvl"}
    foreign = {name for name in names if name.partition(".")[0] not in known}
    own = {name.split(".")[1] for name in names if name.startswith("qvl.")}
    assert foreign == set()
    assert own - {*PURE, "errors"} == set()


def test_the_launcher_knows_nothing_of_qvl_and_what_hydra_scans_is_light() -> None:
    files = sorted((REPO / "launchers").rglob("*.py"))
    assert len(files) > 20
    assert not (REPO / "launchers/hydra_plugins/__init__.py").exists(), "other plugins live in this package too"
    roots = {path: {name.partition(".")[0] for name in modules_of(path)} for path in files}
    assert [path.name for path, names in roots.items() if "qvl" in names] == []
    scanned = {path: names for path, names in roots.items() if not path.name.startswith("_")}
    assert scanned
    heavy = {"torch", "rich", "numpy", "submitit", "psutil"}
    assert [path.name for path, names in scanned.items() if names & heavy] == []
