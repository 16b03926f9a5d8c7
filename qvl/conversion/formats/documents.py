"""The annotation files of a source one after the other, and where their pictures lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TypeVar

from qvl.conversion.annotated import Refused
from qvl.conversion.files import Unreadable
from qvl.conversion.source import BaseSource

__all__ = ["documents", "find_picture"]

Content = TypeVar("Content")


def documents(
    source: BaseSource, read: Callable[[Path], Content | Unreadable]
) -> Iterator[tuple[Path, Content] | Refused]:
    """Yield every annotation file with what `read` makes of it, or why it cannot be read.

    Raises:
        RecordError: There is no such file or folder, or no annotation file in it.
    """
    for file in source.files():
        content = file if isinstance(file, Unreadable) else read(file)
        if isinstance(content, Unreadable):
            yield Refused(source.place(content.path), content.code, content.message)
        elif isinstance(file, Path):
            yield file, content


def find_picture(source: BaseSource, file: Path, names: Sequence[str], folders: Iterable[str] = ()) -> str:
    """Return the path of a picture below `source.images`, or its last name if it is not there.

    Tools write the path as it is seen from the annotation file, from the folder of the pictures, or the bare name. No
    picture is opened.

    Args:
        source: Says where the annotations and the pictures lie.
        file: The annotation file.
        names: Paths that the picture may have, with slashes; the last one as it stands in the source.
        folders: Names of folders beside that of `file` in which pictures of this format may lie.
    """
    base = os.path.abspath(source.images)
    mirrored = [source.images / file.parent.relative_to(source.path)] if source.path in file.parents else []
    nearby = [file.parent, *(file.parent.parent / folder for folder in folders)]
    for folder, name in product([*nearby, *mirrored, source.images], names):
        path = os.path.abspath(folder / name)
        if path.startswith(os.path.join(base, "")) and os.path.isfile(path):
            return Path(path).relative_to(base).as_posix()
    return names[-1]
