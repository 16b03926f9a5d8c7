"""Annotation files: found once each, read strictly."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["Unreadable", "find_files", "read_json", "read_text", "read_xml"]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or folder that cannot be read.

    Attributes:
        path: Where it is.
        code: file_unreadable, folder_loop, bad_utf8, bad_json or bad_xml.
        message: Why.
    """

    path: Path
    code: str
    message: str


def find_files(folder: Path, suffixes: Iterable[str]) -> list[Path | Unreadable]:
    """Return all files below a folder with one of the endings, sorted by path; hidden ones are left out.

    Links are followed, but a link to a folder that leads back to one of its parents is an `Unreadable` (folder_loop).

    Args:
        folder: Where to look.
        suffixes: Endings such as `.json`, lower case; case does not matter.
    """
    wanted = tuple(suffixes)
    found: list[Path | Unreadable] = []
    for parent, names, files in os.walk(folder, followlinks=True):
        loops = [name for name in names if _leads_back(Path(parent, name))]
        found += [
            Unreadable(Path(parent, name), "folder_loop", "the link leads back to a folder it lies in")
            for name in loops
        ]
        names[:] = sorted(name for name in names if name not in loops and not name.startswith("."))
        found += [Path(parent, name) for name in files if name.lower().endswith(wanted) and not name.startswith(".")]
    return sorted(found, key=lambda entry: str(entry.path if isinstance(entry, Unreadable) else entry))


def read_text(path: Path) -> str | Unreadable:
    """Return the text of a UTF-8 file, without its byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        return Unreadable(path, "file_unreadable", str(error.strerror))
    except UnicodeDecodeError as error:
        return Unreadable(path, "bad_utf8", f"byte {error.start + 1} is not UTF-8 ({error.reason})")


def read_json(path: Path) -> object:
    """Return the JSON value of a file, or an `Unreadable`; NaN and Infinity are let through, for whoever reads them."""
    text = read_text(path)
    if isinstance(text, Unreadable):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
    except (RecursionError, ValueError):
        message = "nested too deeply, or a number with thousands of digits"
    return Unreadable(path, "bad_json", message)


def read_xml(path: Path) -> Element | Unreadable:
    """Return the root of an XML file; entities and document types that could be harmful are refused."""
    try:
        root: Element | None = parse(path).getroot()
    except OSError as error:
        return Unreadable(path, "file_unreadable", str(error.strerror))
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding that does not exist
        return Unreadable(path, "bad_xml", f"not XML: {error}")
    except DefusedXmlException as error:
        return Unreadable(path, "bad_xml", f"refused: {type(error).__name__}")
    return Unreadable(path, "bad_xml", "the file has no element") if root is None else root


def _leads_back(folder: Path) -> bool:
    """Tell whether a folder is a link to one of the folders that it lies in."""
    if not folder.is_symlink():
        return False
    real = folder.resolve()
    return real == folder.parent.resolve() or real in folder.parent.resolve().parents
