"""What the documentation says can be typed, followed and found."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra_plugins.qvl_torchrun_launcher.config import TorchrunLauncherConf

from qvl import schema
from qvl.command import compose
from qvl.conversation import parse_answer
from qvl.records import Source, validate_row

REPO = Path(__file__).parents[2]
START = REPO / "README.md"
PAGES = [START, REPO / "CONTRIBUTING.md", REPO / "CHANGELOG.md", *sorted((REPO / "docs").rglob("*.md"))]
GENERATED = (REPO / "docs/reference/config.md",)
MAX_PAGE_LINES = 200

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
VERB = re.compile(r"(?:-m\s+qvl\.|\bqvl-)([a-z]+)\s*(.*)")
HYDRA_KEYS = {"hydra.launcher", "hydra.main", "hydra.mode", "hydra.run.dir", "hydra.sweep.dir"}
FILE_NAME = re.compile(r"# (\S+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Command:
    """One command of a page."""

    page: Path
    verb: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.stem}: {self.verb} {' '.join(self.words)}"


def name(page: Path) -> str:
    return page.relative_to(REPO).as_posix()


def fences(page: Path, *languages: str) -> Iterator[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return (text for language, text in found if language in languages)


def commands(page: Path) -> Iterator[Command]:
    for text in fences(page, "sh", "bash", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            if found := VERB.search(line):
                words = shlex.split(found.group(2), comments=True)
                yield Command(page, found.group(1), tuple(words))
                continue
            assert "qvl." not in line, f"{name(page)}: this command is not understood: {line}"


def links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return [target for target in LINK.findall(text) if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def split_options(words: tuple[str, ...]) -> tuple[list[str], Path | None]:
    """Return the overrides of a command and the folder of --config-dir; other options take at most one word."""
    overrides, folder = [], None
    remaining = iter(words)
    for word in remaining:
        if word == "--config-dir":
            folder = Path(next(remaining))
        elif word in ("--cfg", "--info", "--package", "-c"):
            next(remaining)
        elif not word.startswith("-"):
            overrides.append(word)
    return overrides, folder


def write_files_of(page: Path, folder: Path) -> None:
    """Write every code block of a page that begins with a file's name."""
    for text in fences(page, "python", "yaml"):
        if found := FILE_NAME.match(text):
            path = folder / found.group(1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.removeprefix(found.group(0)), encoding="utf-8")


def upstream_names() -> set[str]:
    """Return `module.Name` of everything that qvl imports from ms-swift."""
    files = sorted((REPO / "qvl").rglob("*.py"))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    swift = (node for node in nodes if (node.module or "").split(".")[0] == "swift")
    return {f"{node.module}.{alias.name}" for node in swift for alias in node.names}


COMMANDS = [command for page in PAGES for command in commands(page)]


def test_there_are_pages_and_commands() -> None:
    assert len(PAGES) > 8
    assert len(COMMANDS) > 10
    assert {command.verb for command in COMMANDS} >= {"train"}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_composes(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (REPO / "qvl" / f"{command.verb}.py").is_file(), f"there is no verb {command.verb}"
    write_files_of(command.page, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    overrides, folder = split_options(command.words)
    try:
        schema.register_schema(getattr(schema, f"{command.verb.capitalize()}Config"), name=command.verb)
        for job in jobs_of(overrides):
            compose(job, config_name=command.verb, folder=folder)
    finally:
        for path in tmp_path.glob("*.py"):
            sys.modules.pop(path.stem, None)


def jobs_of(overrides: list[str]) -> list[list[str]]:
    """Return the overrides of every job that a command starts."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    values = [
        [f"{item.get_key_element()}={value}" for value in item.sweep_string_iterator()]
        if item.is_sweep_override()
        else [text]
        for item, text in zip(parsed, overrides, strict=True)
    ]
    return [list(job) for job in itertools.product(*values)]


def test_every_key_of_the_launcher_is_told_with_its_default() -> None:
    text = (REPO / "docs/reference/launcher.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", text, re.MULTILINE))
    keys = {field.name: field for field in dataclasses.fields(TorchrunLauncherConf) if field.name[0] != "_"}
    assert sorted(told) == sorted(keys)
    for key, value in vars(TorchrunLauncherConf()).items():
        assert key[0] == "_" or yaml.safe_load(told[key]) == value, key


def test_every_make_target_exists() -> None:
    made = {word for page in PAGES for word in re.findall(r"\bmake ([a-z]+)\b", page.read_text(encoding="utf-8"))}
    targets = set(re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= made & targets
    written = {
        word
        for page in PAGES
        for text in (*fences(page, "sh"), *re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")))
        for word in re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    }
    assert written - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_resolves(page: Path) -> None:
    broken = []
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [START]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    assert [name(page) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_has_at_most_200_lines(page: Path) -> None:
    assert page in GENERATED or len(page.read_text(encoding="utf-8").splitlines()) <= MAX_PAGE_LINES


def test_the_first_screen_has_a_picture_two_commands_and_a_table() -> None:
    screen = START.read_text(encoding="utf-8").splitlines()[:30]
    assert sum(line.startswith("![") for line in screen) == 1
    assert [line.split("#")[0].strip() for line in screen if line.startswith("make ")] == ["make demo", "make test"]
    assert "| to | see |" in screen


def test_every_folder_has_a_page_in_the_index() -> None:
    index = (REPO / "docs/README.md").read_text(encoding="utf-8")
    folders = [f"qvl/{path.parent.name}/" for path in sorted((REPO / "qvl").glob("*/__init__.py"))]
    assert len(folders) > 10
    top = ["conf/", "launchers/", "tests/", "multirun_outputs/"]
    assert [folder for folder in (*folders, *top) if f"| `{folder}` |" not in index] == []
    named = re.findall(r"^\| `([\w/]+/)` \|", index, re.MULTILINE)
    assert [folder for folder in named if not (REPO / folder).is_dir()] == []


def test_every_upstream_name_stands_on_its_page() -> None:
    names = upstream_names()
    page = (REPO / "docs/upstream.md").read_text(encoding="utf-8")
    assert len(names) > 5
    assert sorted(item for item in names if f"`{item}`" not in page) == []


def test_example_rows_and_answers_are_what_the_code_takes() -> None:
    rows = [text for page in (START,) for text in fences(page, "json")]
    answers = [text.strip() for text in fences(REPO / "docs/concepts/data_contract.md", "json")]
    assert rows
    assert answers
    for text in rows:
        assert validate_row(ast.literal_eval(text), source=Source("README.md", 1)) == []
    for text in answers:
        parsed = parse_answer(text, image_label="图片")
        assert parsed.faults == ()
        assert all(parsed.images)


def test_every_fixed_argument_stands_on_the_upstream_page() -> None:
    tree = ast.parse((REPO / "qvl/training/arguments.py").read_text(encoding="utf-8"))
    (fixed,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_fixed_values"]
    keys = {ast.literal_eval(key) for node in ast.walk(fixed) if isinstance(node, ast.Dict) for key in node.keys if key}
    page = (REPO / "docs/upstream.md").read_text(encoding="utf-8")
    assert len(keys) > 10
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


def test_every_code_of_the_data_contract_exists() -> None:
    page = (REPO / "docs/concepts/data_contract.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in page.split("## What is refused")[1].splitlines() if line.startswith("| the"))
    files = [*(REPO / "qvl/records").glob("*.py"), *(REPO / "qvl/data").glob("*.py")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    told = re.findall(r"`(\w+)`", table)
    assert len(told) > 15
    assert [name for name in told if f'"{name}"' not in code] == []


def test_the_layers_are_told_as_they_are() -> None:
    settings = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    blocks = re.findall(r"(?:^    .+\n)+", (REPO / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    told = [layer.split(",") for layer in blocks[0].split(">")]
    assert [{name.strip() for name in layer} for layer in told] == [set(re.findall(r"\w+", layer)) for layer in layers]


@pytest.mark.parametrize("page", [page for page in PAGES if page not in GENERATED], ids=name)
def test_every_key_that_a_page_names_exists(page: Path) -> None:
    known = schema.ConfigFiles(schema.config_dir()).known_keys()
    groups = {key for key in known if "." not in key}
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    named = {code.partition("=")[0] for code in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+(?:=[^`\s]*)?)`", text)}
    launcher = {f"hydra.launcher.{field.name}" for field in dataclasses.fields(TorchrunLauncherConf)}
    keys = {key for key in named if key.partition(".")[0] in groups and not key.startswith("model.visual")}
    extra = {f"training.extra.{name}" for name in schema.EXTRA}
    assert sorted(keys - known - extra - launcher - HYDRA_KEYS) == []


def test_pages_name_keys() -> None:
    text = "".join(FENCE.sub("", page.read_text(encoding="utf-8")) for page in PAGES if page not in GENERATED)
    assert len(set(re.findall(r"`(?:data|training|evaluation)\.\w+", text))) > 10
