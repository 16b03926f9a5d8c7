"""JSON as models write it when they slip: quotes, commas, line breaks."""

from __future__ import annotations

import re
from typing import Final

from qvl.conversation.objects import OBJECT_KEYS, from_pairs, to_integer

_MAX_DEPTH: Final = 16
"""Objects are two deep, coordinates three. What goes deeper is no answer."""

_KEY: Final = rf"[\"'](?:{'|'.join(OBJECT_KEYS)})[\"'][ \t\r\n]*:"

_ENDS: Final = rf"(?=[ \t\r\n]*(?:[,:}}\]]|\Z|{_KEY}))"
"""What follows the quote that ends a string; another quote is part of the text, as in 5" pipe."""

_TOKEN: Final = re.compile(
    rf"""[ \t\r\n]*(?:
        (?P<mark>[{{}}\[\],:])
      | "(?P<double>(?:[^\\]|\\.)*?)"{_ENDS}
      | '(?P<single>(?:[^\\]|\\.)*?)'{_ENDS}
      | (?P<number>(?>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
      | (?P<word>(?>[+-]?[A-Za-z]+)(?!\w))
      | (?P<end>\Z)
      | (?P<other>.)
    )""",
    re.DOTALL | re.VERBOSE,
)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_STRICT_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS: Final[dict[str, object]] = {
    "true": True, "false": False, "null": None, "True": True, "False": False, "None": None,
    "NaN": float("nan"), "nan": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"),
}  # fmt: skip
_STRICT_WORDS: Final = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PARTIAL: Final = re.compile(r"[ \t\r\n]*[\w.+-]*\Z")
"""The end of the text, or a number or word that may go on."""

_CONTROL: Final = re.compile(r"[\x00-\x1f]")


class LooseError(ValueError):
    """Text that cannot be read as a value.

    Attributes:
        is_cut: The text ends before the value does, nothing else is wrong.
    """

    def __init__(self, message: str, *, is_cut: bool = False) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.is_cut = is_cut


class LooseReader:
    """Reads values and remembers what was not strict about them. The time is linear in the text.

    Attributes:
        position: Where reading goes on.
        slips: What was not strict JSON: the message by fault code.
    """

    def __init__(self, text: str, position: int, limit: int) -> None:
        """Prepare to read `text[position:limit]`."""
        self.position = position
        self.slips: dict[str, str] = {}
        self._text = text
        self._limit = limit
        self._kind = ""
        self._content = ""
        self._next = position
        self._peek()

    def read(self) -> object:
        """Read one value.

        Raises:
            LooseError: There is none.
        """
        return self._value(0)

    def read_key(self) -> str:
        """Read a text and the colon behind it.

        Raises:
            LooseError: Something else stands there.
        """
        key = self._string()
        if self._kind != ":":
            raise self._error("expected ':'")
        self._step()
        return key

    def _peek(self) -> None:
        """Look at the token at the position; any character is one."""
        found = _TOKEN.match(self._text, self.position, self._limit)
        assert found is not None and found.lastgroup is not None
        self._kind, self._content, self._next = found.lastgroup, found[found.lastgroup], found.end()
        if self._kind == "mark":
            self._kind = self._content

    def _step(self) -> str:
        """Go behind the token that was looked at and return its text."""
        content, self.position = self._content, self._next
        self._peek()
        return content

    def _error(self, message: str) -> LooseError:
        if (self._kind == "other" and self._content in "\"'") or _PARTIAL.match(self._text, self.position, self._limit):
            return LooseError("the text ends inside a value", is_cut=self._limit == len(self._text))
        return LooseError(f"{message}, got {self._content[:20]!r}")

    def _slip(self, message: str, code: str = "not_strict_json") -> None:
        self.slips.setdefault(code, message)

    def _value(self, depth: int) -> object:
        match self._kind:
            case "{" | "[" if depth == _MAX_DEPTH:
                raise LooseError("nested too deeply")
            case "{":
                return self._object(depth)
            case "[":
                return self._list(depth)
            case "double" | "single":
                return self._string()
            case "number":
                return self._number()
            case "word" if self._content in _WORDS:
                return self._word()
        raise self._error("expected a value")

    def _object(self, depth: int) -> dict[str, object]:
        self._step()
        pairs: list[tuple[str, object]] = []
        while not self._ends("}", is_first=not pairs):
            key = self.read_key()
            pairs.append((key, self._value(depth + 1)))
        return from_pairs(pairs)

    def _list(self, depth: int) -> list[object]:
        self._step()
        values: list[object] = []
        while not self._ends("]", is_first=not values):
            values.append(self._value(depth + 1))
        return values

    def _ends(self, closer: str, *, is_first: bool) -> bool:
        """Go behind commas, and behind the closer if it comes next."""
        num_commas = 0
        while self._kind == ",":
            num_commas += 1
            self._step()
        if self._kind in ("end", "other"):
            raise self._error("expected a value")
        is_end = self._kind == closer
        if num_commas != (0 if is_first or is_end else 1):
            self._slip("the commas are not where JSON has them")
        if is_end:
            self._step()
        return is_end

    def _string(self) -> str:
        if self._kind not in ("double", "single"):
            raise self._error("expected a text in quotes")
        if self._kind == "single":
            self._slip("single quotes stand where JSON has double ones", "single_quotes")
        elif _CONTROL.search(self._content):
            self._slip("a text holds a raw line break, tab or control character")
        return self._unescaped(self._step())

    def _unescaped(self, raw: str) -> str:
        if "\\" not in raw:
            return raw
        text = _ESCAPE.sub(lambda found: _unescape(found[1]), raw)
        if _SURROGATE.search(text):  # two halves of one character; a half without its other stays one
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return text

    def _number(self) -> int | float:
        digits = self._step()
        if not _STRICT_NUMBER.fullmatch(digits):
            self._slip("a number is not written as in JSON")
        return to_integer(digits) if _INTEGER.fullmatch(digits) else float(digits)

    def _word(self) -> object:
        word = self._step()
        if word not in _STRICT_WORDS:
            self._slip(f"{word} is no word of JSON")
        return _WORDS[word]


def _unescape(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)
