"""Where a key of the configuration stands: the YAML files with their lines and comments, and the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

__all__ = ["ConfigFiles", "KeyNote", "Origins", "config_dir", "read_notes"]

GLOBAL_HEADER = "# @package _global_"
HYDRA_KEYS = ("defaults", "hydra")
_BLOCK = ("|", ">")


def config_dir() -> Path:
    """Return the folder of the configuration groups: conf/ of a checkout, or qvl/conf of an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


@dataclass(frozen=True, slots=True)
class KeyNote:
    """One key of a YAML file.

    Attributes:
        key: Full dotted key in the composed configuration.
        line: 1-based line in the file.
        comment: The comment behind the key, "" without one.
        value: The value as it is written; "" for a block of keys, which have notes of their own.
    """

    key: str
    line: int
    comment: str
    value: str


def read_notes(path: Path, prefix: str) -> dict[str, KeyNote]:
    """Read the keys of a configuration file, without Hydra's own `defaults` and `hydra`.

    Args:
        path: YAML file.
        prefix: Package of the file in the composed configuration, "" for the root.

    Returns:
        Notes by full key, in file order.

    Raises:
        yaml.YAMLError: The file is no YAML.
    """
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return {}
    root.value = [pair for pair in root.value if pair[0].value not in HYDRA_KEYS]
    return {note.key: note for note in _notes(root, prefix, text)}


def _notes(node: yaml.MappingNode, prefix: str, text: str) -> Iterator[KeyNote]:
    for key_node, value_node in node.value:
        key = f"{prefix}.{key_node.value}" if prefix else str(key_node.value)
        is_mapping = isinstance(value_node, yaml.MappingNode)
        ends_line = (
            value_node.flow_style if isinstance(value_node, yaml.CollectionNode) else value_node.style not in _BLOCK
        )
        tail = text[(value_node if ends_line else key_node).end_mark.index :].partition("\n")[0]
        yield KeyNote(
            key=key,
            line=key_node.start_mark.line + 1,
            comment=tail.partition("#")[2].strip(),
            value="" if is_mapping and not ends_line else _source(value_node, text),
        )
        if is_mapping:
            yield from _notes(value_node, key, text)


def _source(node: yaml.Node, text: str) -> str:
    if isinstance(node, yaml.SequenceNode) and not node.flow_style:
        return "[" + ", ".join(_source(item, text) for item in node.value) + "]"
    if isinstance(node, yaml.ScalarNode) and node.style in _BLOCK:
        return f"{node.value.strip()!r}"
    return text[node.start_mark.index : node.end_mark.index].strip()


class ConfigFiles:
    """The folders that hold configuration files, the repository's own and those that the user added."""

    def __init__(self, *folders: Path, root: str = "train") -> None:
        """Later folders are looked into first.

        Args:
            folders: Existing folders; the first one is qvl's own.
            root: Name of the primary config.
        """
        self.own = folders[0]
        self.root = root
        self.folders = tuple(reversed(folders))

    def path(self, config: str) -> Path | None:
        """Return the file of a config such as `recipe/stage2_lora`, None if no folder has it."""
        candidates = (folder / f"{config}.yaml" for folder in self.folders)
        return next((path for path in candidates if path.is_file()), None)

    def place(self, config: str, key: str | None = None) -> str:
        """Return `file:line` of a key in a config, the path relative to the current folder if it lies below it."""
        path = self.path(config)
        if path is None:
            return config
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        note = self.notes(config).get(key) if key is not None else None
        return f"{shown}:{note.line}" if note else str(shown)

    def notes(self, config: str) -> dict[str, KeyNote]:
        """Return the keys of a config under their full names, {} where there is no such file."""
        path = self.path(config)
        if path is None:
            return {}
        with path.open(encoding="utf-8") as lines:
            is_global = next(lines, "").startswith(GLOBAL_HEADER)
        group = config.rpartition("/")[0].replace("/", ".")
        return read_notes(path, "" if is_global else group)

    def configs(self) -> list[str]:
        """Return all configs, such as `train` and `model/tiny`, sorted."""
        depths = ("*.yaml", "*/*.yaml", "*/*/*.yaml")  # not rglob: the user's folder may hold pictures by the million
        paths = (path.relative_to(folder) for folder in self.folders for depth in depths for path in folder.glob(depth))
        return sorted({path.with_suffix("").as_posix() for path in paths})

    def is_group(self, name: str) -> bool:
        """Return whether a name is a group of configs, such as `model`."""
        return any((folder / name).is_dir() for folder in self.folders)

    def choices(self, group: str) -> list[str]:
        """Return the names of a group's configs, sorted."""
        return [config.rpartition("/")[2] for config in self.configs() if config.rpartition("/")[0] == group]

    def known_keys(self) -> set[str]:
        """Return every key that qvl's own files give the primary config, with the names of the groups."""
        own = ConfigFiles(self.own, root=self.root)
        groups = {config.partition("/")[0] for config in own.configs() if "/" in config} if own.declared() else set()
        if self.root != "train":  # whose recipes and debug choices stand in no list
            groups &= {group.partition("/")[0] for group in own.declared()}
        configs = [config for config in own.configs() if config == self.root or config.partition("/")[0] in groups]
        return groups.union(*(own.notes(config) for config in configs))

    def declared(self) -> dict[str, str]:
        """Return the groups that the primary config chooses from, with its choices."""
        entries = (entry for entry in self.defaults(self.root) if isinstance(entry, dict))
        chosen = ((group, choice) for entry in entries for group, choice in entry.items())
        return {group: choice for group, choice in chosen if not group.startswith("override ")}

    def defaults(self, config: str) -> list[object]:
        """Return the `defaults` list of a config, [] without one."""
        path = self.path(config)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else None
        except yaml.YAMLError:  # Hydra's error, if the file is chosen at all
            return []
        entries = content.get("defaults") if isinstance(content, dict) else None
        return entries if isinstance(entries, list) else []

    def asking(self, group: str, name: str | None = None) -> str | None:
        """Return the config whose `defaults` choose from a group (that name of it), None where no file does."""
        for config in self.configs():
            for entry in self.defaults(config):
                for key, value in entry.items() if isinstance(entry, dict) else ():
                    if key.split()[-1].lstrip("/") == group and name in (None, value):
                        return config
        return None

    def base(self, config: str) -> list[str]:
        """Return the configs of the same group that a config builds on (its `defaults`), nearest first."""
        group = config.rpartition("/")[0]
        entries = (entry for entry in reversed(self.defaults(config)) if isinstance(entry, str) and entry != "_self_")
        return [step for entry in entries for step in (f"{group}/{entry}", *self.base(f"{group}/{entry}"))]


class Origins:
    """Tells where the value of a key of one composed configuration comes from."""

    def __init__(self, files: ConfigFiles, *, choices: Mapping[str, object], typed: Sequence[str]) -> None:
        """Order the files from the one that is composed last to the first.

        Args:
            files: Where the configs lie.
            choices: Choice of every group, as Hydra reports them.
            typed: Keys that were given on the command line, groups left out.
        """
        self.files = files
        self.typed = tuple(typed)
        declared = files.declared()
        chosen = [(group, name) for group, names in choices.items() for name in _names(names)]
        inner = {group for group, _ in chosen if group.partition("/")[0] in declared}  # prompts/domain with prompts
        appended = [f"{group}/{name}" for group, name in reversed(chosen) if group not in inner]
        built = [f"{group}/{name}" for group, name in chosen if group in inner]
        self.configs = [*appended, files.root, *(step for config in built for step in (config, *files.base(config)))]

    def place(self, key: str) -> str:
        """Return "command line", or the file and line that set a key, or "" where nothing does."""
        if any(f"{key}.".startswith(f"{typed}.") or typed.startswith(f"{key}.") for typed in self.typed):
            return "command line"
        found = (config for config in self.configs if key in self.files.notes(config))
        config = next(found, None)
        return self.files.place(config, key) if config else ""

    def comment(self, key: str) -> str:
        """Return the comment that explains a key in the file that sets it, "" without one."""
        found = (self.files.notes(config).get(key) for config in self.configs)
        return next((note.comment for note in found if note is not None and note.comment), "")


def _names(choice: object) -> list[str]:
    return [str(name) for name in choice] if isinstance(choice, list | tuple) else [str(choice)]
