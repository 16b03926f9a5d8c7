"""One line of JSON to a value, strictly."""

from __future__ import annotations

import json
from collections import Counter

from qvl.records.finding import Finding, shorten
from qvl.records.record import Source
from qvl.records.walk import walk


def decode_line(data: bytes, *, source: Source) -> tuple[object, list[Finding]]:
    """Decode one line of a JSONL file.

    The json module keeps the last of two equal keys and reads NaN without a word; here both are findings. The value
    is still returned (last key wins, NaN as float), so that the rest of the row can be checked too.

    Args:
        data: The bytes of the line, UTF-8, with or without its line end.
        source: Where it comes from.

    Returns:
        (value, findings); the value is None if the line could not be read. Codes: bad_utf8, bad_json, duplicate_key,
        non_finite; all fatal.
    """
    reader = _Reader()
    try:
        value = reader.read(data)
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8 ({error.reason})"
        return None, [Finding("bad_utf8", source, "", message)]
    except json.JSONDecodeError as error:
        at_end = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        cut = "; the line ends inside the value, was the file cut off?" if at_end else ""
        return None, [Finding("bad_json", source, "", f"not JSON at character {error.pos + 1}: {error.msg}{cut}")]
    except ValueError:  # only an integer of more digits than Python converts is left
        return None, [Finding("bad_json", source, "", "a number has thousands of digits")]
    except RecursionError:
        return None, [Finding("bad_json", source, "", "nested too deeply")]
    return value, reader.findings(value, source)


class _Reader:
    """Reads JSON and remembers what the json module forgives."""

    def __init__(self) -> None:
        self._repeated: list[tuple[dict[str, object], str]] = []
        self._constants: list[str] = []

    def read(self, data: bytes) -> object:
        return json.loads(data.decode("utf-8"), object_pairs_hook=self._pairs, parse_constant=self._constant)

    def findings(self, value: object, source: Source) -> list[Finding]:
        if not self._repeated and not self._constants:
            return []
        found = []
        for path, item in walk(value):
            if isinstance(item, float) and not abs(item) < float("inf"):
                found.append(Finding("non_finite", source, path, f"expected a finite number, got {item}"))
            for owner, key in self._repeated:
                if owner is item:
                    message = f"the key {shorten(key)} stands here more than once"
                    found.append(Finding("duplicate_key", source, f"{path}.{key}" if path else key, message))
        return found

    def _pairs(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        result = dict(pairs)
        if len(result) < len(pairs):
            self._repeated.extend((result, key) for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return result

    def _constant(self, name: str) -> float:
        self._constants.append(name)
        return float(name)
