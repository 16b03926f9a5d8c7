"""What a package offers stands in its `__all__`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
PACKAGES = sorted(path for path in (REPO / "qvl").rglob("__init__.py") if path.parent.name != "qvl")


def sort_key(name: str) -> tuple[int, str]:
    """CONSTANTS first, then Classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def exported(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return []


def imported(tree: ast.Module) -> set[str]:
    """Names that a package takes from its own modules, those under TYPE_CHECKING (imported when asked for) included."""
    froms = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    own = (node for node in froms if (node.module or "").startswith("qvl."))
    return {alias.asname or alias.name for node in own for alias in node.names}


def test_there_are_packages() -> None:
    assert len(PACKAGES) > 10


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_a_package_exports_what_it_imports_sorted(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = exported(tree)
    assert names, f"{path.parent.name} has no __all__"
    assert names == sorted(imported(tree), key=sort_key)


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_a_package_holds_imports_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = {"__getattr__"} if path.parent.name == "callbacks" else set()
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert defined <= lazy
