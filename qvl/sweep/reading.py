"""Small files of other programs, half-written ones too: what cannot be used is written down, never raised."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from qvl.runtime import redact_arguments, redact_text, secret_values
from qvl.sweep.job import Trouble

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # a build without libyaml
    from yaml import SafeLoader as _Loader

__all__ = ["Reader", "local_time"]

_MOST = 1e100  # squares of larger numbers would not fit into a float
_TAIL_BYTES = 16_384
_TAIL_LINES = 40


class Reader:
    """Reads files, masks secrets in texts, and keeps a list of what was wrong."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []
        self._secrets = secret_values()

    def note(self, path: Path, message: str) -> None:
        """Write down what is wrong with a file, once."""
        trouble = Trouble(path, message)
        if trouble not in self.troubles:
            self.troubles.append(trouble)

    def json(self, path: Path) -> dict[str, object] | None:
        """Return the JSON object of a file; None if there is no such file, or no object in it (that is noted)."""
        text = self._text(path)
        if text is None:
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.note(path, f"is no JSON: {error}" if text.strip() else "is empty")
            return None
        if not isinstance(value, dict):
            self.note(path, f"holds no JSON object, but {_kind(value)}")
            return None
        return value

    def yaml(self, path: Path) -> dict[str, object] | None:
        """Return the mapping of a YAML file; None if there is no such file, or no mapping in it (that is noted)."""
        text = self._text(path)
        if text is None:
            return None
        try:
            value = yaml.load(text, Loader=_Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self.note(path, f"is no YAML: {str(error).splitlines()[0]}")
            return None
        if not isinstance(value, dict):
            self.note(path, f"holds no mapping, but {_kind(value)}")
            return None
        return value

    def tail(self, path: Path) -> tuple[str, ...]:
        """Return the last lines of a log, () without one."""
        try:
            with path.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
                content = file.read()
        except FileNotFoundError:
            return ()
        except OSError as error:
            self.note(path, f"cannot be read: {error.strerror}")
            return ()
        lines = self.clean(content.decode("utf-8", errors="replace").rstrip()).split("\n")[-_TAIL_LINES:]
        return tuple(line.rstrip("\r").rpartition("\r")[2] for line in lines) if any(lines) else ()

    def number(self, data: Mapping[str, object], key: str, path: Path) -> float | None:
        """Return a finite number of a JSON object; None if it is missing, null or something else (that is noted)."""
        value = data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.note(path, f"{key}: expected a number, got {_kind(value)}")
            return None
        if not -_MOST < value < _MOST or math.isnan(value):
            self.note(path, f"{key}: is not a finite number")
            return None
        return float(value)

    def whole(self, data: Mapping[str, object], key: str, path: Path) -> int | None:
        """Return a whole number of a JSON object, also one that is written as a text; None without one."""
        value = data.get(key)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
        number = self.number(data, key, path)
        return None if number is None else int(number)

    def numbers(self, data: Mapping[str, object], path: Path) -> dict[str, float]:
        """Return the numbers among the values of a JSON object, others are left out."""
        kept = {
            key: data[key] for key in data if isinstance(data[key], int | float) and not isinstance(data[key], bool)
        }
        found = {key: self.number(kept, key, path) for key in kept}
        return {key: value for key, value in found.items() if value is not None}

    def text(self, data: Mapping[str, object], key: str, path: Path) -> str:
        """Return a text of a JSON object without secrets; "" if it is missing, null or something else (noted)."""
        value = data.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.note(path, f"{key}: expected a text, got {_kind(value)}")
            return ""
        return self.clean(value)

    def texts(self, data: Mapping[str, object], key: str, path: Path) -> tuple[str, ...]:
        """Return a list of texts of a JSON object without secrets; () if it is missing, null or not one (noted)."""
        value = data.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.note(path, f"{key}: expected a list of texts, got {_kind(value)}")
            return ()
        return redact_arguments(value, self._secrets)

    def clean(self, text: str) -> str:
        """Mask secrets in a text."""
        return redact_text(text, self._secrets)

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except OSError as error:
            self.note(path, f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self.note(path, f"is not UTF-8 at byte {error.start}")
        return None


def local_time(text: str) -> str:
    """Return an ISO time as `2026-01-31 12:00:00` in local time; another text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment.astimezone() if moment.tzinfo else moment).strftime("%Y-%m-%d %H:%M:%S")


def _kind(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "nothing" if value is None else f"a {type(value).__name__}")
