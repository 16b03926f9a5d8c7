"""All values inside a JSON value, with their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qvl.records.finding import shorten


def walk(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield (path, value) of a JSON value and of everything in it, keys of objects as well, parents first.

    Paths look like `objects[2].poly[5]`; the path of a key is that of its object. Depth costs memory, not recursion.
    """
    pending = [(path, value)]
    while pending:
        path, value = pending.pop()
        yield path, value
        if isinstance(value, Mapping):
            yield from ((path, key) for key in value)
            pending.extend((_join(path, key), item) for key, item in reversed(list(value.items())))
        elif isinstance(value, list):
            pending.extend((f"{path}[{index}]", item) for index, item in reversed(list(enumerate(value))))


def _join(path: str, key: object) -> str:
    name = key if isinstance(key, str) and key.isidentifier() else f"[{shorten(key)}]"
    return f"{path}.{name}" if path and not name.startswith("[") else f"{path}{name}"
