"""Limits that keep the worst file readable, and calls that have one place or none."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
MAX_FILE_LINES = 399
MAX_FUNCTION_LINES = 59
MAX_PARAMETERS = 8

BROAD = ("Exception", "BaseException")
HEAVY = ("accelerate", "datasets", "deepspeed", "peft", "swift", "torch", "torchvision", "transformers", "trl")
FORBIDDEN_STEMS = ("common", "helpers", "utils")
SWIFT_DOORS = ("inference", "training")

Function = ast.FunctionDef | ast.AsyncFunctionDef
Rule = Callable[[ast.Module], Iterator[tuple[int, str]]]


def python_files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((REPO / folder).rglob("*.py"))]
    assert found, f"no Python file in {folders}"
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def broken(rule: Rule, *folders: str, allowed: tuple[str, ...] = ()) -> list[str]:
    """Return `file:line: what` for every place where a rule is broken, files with an allowed path prefix left out."""
    return [
        f"{name}:{line}: {what}"
        for path in python_files(*folders)
        if not (name := path.relative_to(REPO).as_posix()).startswith(allowed or ("\0",))
        for line, what in rule(parse(path))
    ]


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def long_functions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in functions(tree):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES:
            yield node.lineno, f"{node.name} has {lines} lines, at most {MAX_FUNCTION_LINES}"


def long_signatures(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in functions(tree):
        names = [item.arg for item in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > MAX_PARAMETERS:
            yield node.lineno, f"{node.name} takes {count} parameters, at most {MAX_PARAMETERS}"


def prints(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield node.lineno, "print(): use logging, or rich in a verb"


def broad_handlers(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find what can swallow any error; a handler that ends with a bare `raise` tidies up and swallows nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            hands_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if not hands_on and (node.type is None or names_broad(node.type)):
                yield node.lineno, "a broad except: name the exception"
        if isinstance(node, ast.Call) and dotted(node.func) in ("suppress", "contextlib.suppress"):
            broad = any(names_broad(argument) for argument in node.args)
            yield from [(node.lineno, "a broad suppress: name the exception")] * broad


def names_broad(node: ast.AST) -> bool:
    return any(dotted(part).removeprefix("builtins.") in BROAD for part in ast.walk(node))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def escapes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("cast", "typing.cast"):
            yield node.lineno, "cast(): let the types say it"
        if isinstance(node, ast.Call) and dotted(node.func) == "getattr" and len(node.args) > 2:
            yield node.lineno, "getattr() with a default: look the attribute up and write it"


def instantiations(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        imported = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        if dotted(node).endswith(".instantiate") or "instantiate" in imported:
            yield node.lineno, "Hydra's instantiate: call qvl.build.build"


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, top-level module) of every import statement below a node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def eager_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the imports that run when the module is imported: outside functions and TYPE_CHECKING blocks."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from imports(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                continue
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                for other in node.orelse:
                    yield from eager_imports(other)
            case _:
                yield from eager_imports(node)


def eager_heavy(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, module in eager_imports(tree):
        if module in HEAVY:
            yield line, f"{module} is imported with the module: import it inside the function"


def eager_swift(tree: ast.Module) -> Iterator[tuple[int, str]]:
    yield from ((line, "an eager import") for line, module in eager_imports(tree) if module == "swift")


def any_swift(tree: ast.Module) -> Iterator[tuple[int, str]]:
    yield from ((line, "swift outside its doors") for line, module in imports(tree) if module == "swift")


def test_every_file_stays_below_400_lines() -> None:
    files = [*python_files("qvl", "tests"), *sorted((REPO / "launchers").rglob("*.py")), *(REPO / "docs").glob("*.py")]
    lengths = {path.relative_to(REPO).as_posix(): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert len(lengths) > 100
    assert {name: count for name, count in lengths.items() if count > MAX_FILE_LINES} == {}


def test_every_function_stays_below_60_lines() -> None:
    assert broken(long_functions, "qvl", "launchers", "docs", "tests") == []


def test_no_function_takes_more_than_8_parameters() -> None:
    assert broken(long_signatures, "qvl", "launchers", "docs") == []


def test_nothing_is_printed_past_logging_and_rich() -> None:
    assert broken(prints, "qvl", "launchers", "tests") == []


def test_no_error_is_caught_without_its_name() -> None:
    assert broken(broad_handlers, "qvl", "launchers", "tests") == []


def test_types_are_not_talked_around() -> None:
    assert broken(escapes, "qvl", "launchers") == []


def test_only_build_instantiates() -> None:
    assert broken(instantiations, "qvl", "launchers", allowed=("qvl/build.py",)) == []


def test_swift_is_imported_in_its_doors_only_and_inside_functions() -> None:
    doors = (*(f"qvl/{name}/" for name in SWIFT_DOORS), "qvl/models/merge.py")
    assert broken(any_swift, "qvl", allowed=doors) == []
    assert broken(eager_swift, "qvl") == []
    assert broken(any_swift, *(f"qvl/{name}" for name in SWIFT_DOORS)), "the doors are gone, or the search is broken"


def test_torch_is_imported_inside_functions_but_for_callbacks() -> None:
    assert broken(eager_heavy, "qvl", "launchers", allowed=("qvl/callbacks/",)) == []
    assert broken(eager_heavy, "qvl/callbacks"), "callbacks derive from transformers; is the search broken?"
    assert [*eager_heavy(parse(REPO / "qvl/callbacks/__init__.py"))] == []


def test_no_module_is_a_drawer_of_odds_and_ends() -> None:
    files = python_files("qvl", "launchers")
    names = [name for path in files for name in path.relative_to(REPO).with_suffix("").parts]
    assert [name for name in names if name.strip("_") in FORBIDDEN_STEMS] == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (long_functions, "def f():\n" + "    x = 1\n" * 59),
        (long_signatures, "class A:\n    def f(self, a, b, c, d, e, *, f, g, h, i): ..."),
        (prints, "def f():\n    print(1)"),
        (broad_handlers, "try:\n    f()\nexcept:\n    pass"),
        (broad_handlers, "try:\n    f()\nexcept (OSError, Exception) as error:\n    raise ValueError from error"),
        (broad_handlers, "with contextlib.suppress(BaseException):\n    f()"),
        (escapes, "x = getattr(a, 'b', None)"),
        (escapes, "x = cast(int, a)"),
        (instantiations, "import hydra\nhydra.utils.instantiate({})"),
        (instantiations, "from hydra.utils import instantiate"),
        (eager_heavy, "if True:\n    import torch.nn as nn"),
        (eager_heavy, "class A:\n    from transformers import Trainer"),
        (any_swift, "def f():\n    from swift.template import Template"),
    ],
)
def test_each_rule_sees_what_it_forbids(rule: Rule, code: str) -> None:
    assert len([*rule(ast.parse(code))]) == 1


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (long_functions, "def f():\n" + "    x = 1\n" * 58),
        (long_signatures, "class A:\n    def f(self, a, b, c, d, *, e, f, g, h, **rest): ..."),
        (broad_handlers, "try:\n    f()\nexcept BaseException:\n    tidy()\n    raise"),
        (broad_handlers, "try:\n    f()\nexcept OSError:\n    pass"),
        (eager_heavy, "if TYPE_CHECKING:\n    import torch\ndef f():\n    import torch"),
        (eager_swift, "def f():\n    from swift.template import Template"),
    ],
)
def test_each_rule_lets_pass_what_is_fine(rule: Rule, code: str) -> None:
    assert [*rule(ast.parse(code))] == []
