"""Writes docs/reference/config.md from the files in conf/: run it after a change there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from qvl.schema import EXTRA, RETIRED, RETIRED_SECTIONS, ConfigFiles, KeyNote, config_dir

PAGE = Path(__file__).parent / "reference" / "config.md"
LONGEST_VALUE = 60
DEEPEST_KEY = 4

HEAD = """\
# Configuration reference

<!-- Written by docs/generate_config_reference.py from conf/; change the comments there and run it again. -->

A command chooses one file of each group (`model=tiny`) and sets single values (`training.learning_rate=1e-4`):

```sh
python -m qvl.train recipe=stage2_lora model=tiny training.learning_rate=1e-4
python -m qvl.train recipe=stage2_lora --cfg job
```

The second command shows what the first would run. A group that a command does not name has the choice marked *default*.
A choice that "builds on" another has its keys too, and changes those in its table. `???` has to be set."""


def render(files: ConfigFiles) -> str:
    """Return the whole page.

    Args:
        files: Where the configs lie.
    """
    defaults = {group: choice for group, choice in files.declared().items() if "/" not in group}
    groups = [*defaults, *sorted({config.rpartition("/")[0] for config in files.configs()} - {*defaults, ""})]
    verbs = sorted(
        (config for config in files.configs() if "/" not in config), key=lambda verb: (verb != "train", verb)
    )
    parts = [HEAD, *(line for verb in verbs for line in _verb(files, verb))]
    notes = [
        note
        for group in defaults
        for choice in files.choices(group)
        for note in files.notes(f"{group}/{choice}").values()
    ]
    meanings = {note.key: note.comment for note in (*files.notes("train").values(), *notes) if note.comment}
    for group in groups:
        parts.append(f"\n## {group}")
        for choice in sorted(files.choices(group), key=lambda choice: (choice != defaults.get(group), choice)):
            parts += _head(files, f"{group}/{choice}", is_default=choice == defaults.get(group))
            parts += _table(files.notes(f"{group}/{choice}"), meanings)
    return "\n".join([*parts, *_extra(), *_retired()]) + "\n"


def _verb(files: ConfigFiles, verb: str) -> Iterator[str]:
    yield f"\n## Keys at the root of `qvl.{verb}`\n"
    yield from (f"{line}\n" for line in _description(files, verb))
    yield from _table(files.notes(verb), {})


def _head(files: ConfigFiles, config: str, *, is_default: bool) -> Iterator[str]:
    yield f"\n### {_typed(config)}{' (default)' if is_default else ''}\n"
    yield from (f"{line}\n" for line in _description(files, config))
    if base := files.base(config):
        yield f"Builds on `{_typed(base[0])}`.\n"
    chosen = [pair for entry in files.defaults(config) if isinstance(entry, dict) for pair in entry.items()]
    if chosen:
        names = (f"`{_absolute(config, group.split()[-1])}={choice}`" for group, choice in chosen)
        yield f"Chooses {', '.join(names)}.\n"


def _absolute(config: str, group: str) -> str:
    """Return a group as it is typed; one without a slash in front lies in the group of the config."""
    return group[1:] if group.startswith("/") else f"{config.rpartition('/')[0]}/{group}"


def _typed(config: str) -> str:
    """Return a choice as it is typed, such as model=tiny."""
    group, _, choice = config.rpartition("/")
    return f"{group}={choice}"


def _description(files: ConfigFiles, config: str) -> Iterator[str]:
    """Yield the comment lines at the top of a file; a command becomes code."""
    path = files.path(config)
    for line in path.read_text(encoding="utf-8").splitlines() if path else ():
        if not line.startswith("#"):
            return
        text = line.removeprefix("#").strip()
        if text.startswith("python "):
            yield f"```sh\n{text}\n```"
        elif not text.startswith("@package"):
            yield text


def _table(notes: Mapping[str, KeyNote], meanings: Mapping[str, str]) -> Iterator[str]:
    """Yield a table of a file's keys; a key without a comment has the meaning that another file gives it."""
    inside = tuple(f"{note.key}." for note in notes.values() if note.value)
    told = [
        note
        for note in notes.values()
        if note.comment or (note.value and note.key.count(".") < DEEPEST_KEY)  # deeper keys are data
    ]
    shown = [note for note in told if not note.key.startswith(inside) and not note.key.endswith("_convert_")]
    if not shown:
        return
    yield "| key | value | meaning |"
    yield "|---|---|---|"
    for note in shown:
        value = note.value if len(note.value) <= LONGEST_VALUE else f"{note.value[:LONGEST_VALUE].rstrip()} ..."
        meaning = note.comment or meanings.get(note.key, "the class to build" if note.key.endswith("_target_") else "")
        cells = (f"`{note.key}`", f"`{value}`" if value else "", meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _extra() -> Iterator[str]:
    yield "\n## Extra arguments\n"
    yield "Arguments of ms-swift that can be given as `training.extra.NAME=VALUE`; others are refused with a reason.\n"
    yield "| name | value | meaning |"
    yield "|---|---|---|"
    for name, key in sorted(EXTRA.items()):
        changed = "; changes the gradients" if key.changes_gradients else ""
        yield f"| `{name}` | {key.allowed} | {key.meaning}{changed} |"


def _retired() -> Iterator[str]:
    yield "\n## Retired keys\n"
    yield "| key | instead |"
    yield "|---|---|"
    yield from (f"| `{key}` | {text} |" for key, text in sorted(RETIRED.items()))
    yield from (f"| section `{key}` | {text} |" for key, text in sorted(RETIRED_SECTIONS.items()))


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(ConfigFiles(config_dir())), encoding="utf-8")


if __name__ == "__main__":
    main()
