"""Addresses that tools give to pictures, as paths."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["picture_path"]

LOCAL_FILES = "/data/local-files/"
UPLOADS = "/data/upload/"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # two letters at least: C:/ is a drive
_DRIVE = re.compile(r"/[A-Za-z]:/")


def picture_path(address: str) -> tuple[str, tuple[str, ...]] | None:
    r"""Return the path that the address of a picture ends in.

    `s3://bucket/a/b.jpg` is `a/b.jpg`, `file:///a/b.jpg` is `/a/b.jpg`, `\` becomes `/`. Of a picture that Label Studio
    serves the path below its document root or its upload folder is taken.

    Args:
        address: A path or an address.

    Returns:
        (path, codes of what was set right: path_from_url), or None if it leads to no file, such as `data:image/png...`.
    """
    if address[:5].lower() == "data:":
        return None
    if _SCHEME.match(address):
        try:
            parts = urlsplit(address)
        except ValueError:  # a bracket in the name of the host
            return None
        if parts.scheme.lower() == "file":
            path = unquote(parts.path)
            return (path[1:] if _DRIVE.match(path) else path, ()) if path else None
        found = _served(parts.path, parts.query) or unquote(parts.path).lstrip("/")
        return (found, ("path_from_url",)) if found else None
    path, _, query = address.partition("?")
    served = _served(path, query)
    found = served or address.replace("\\", "/")
    return (found, ()) if found.strip() else None


def _served(path: str, query: str) -> str:
    """Return the path behind an address of Label Studio's own server, "" for any other."""
    if path.startswith(LOCAL_FILES) or path == LOCAL_FILES.rstrip("/"):
        return parse_qs(query).get("d", [""])[0].lstrip("/")
    return unquote(path.removeprefix(UPLOADS)) if path.startswith(UPLOADS) else ""
