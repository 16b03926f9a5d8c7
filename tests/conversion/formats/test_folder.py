"""A folder of pictures as its importer reads it."""

from __future__ import annotations

import pytest

from qvl.conversion import Annotated
from qvl.conversion.formats.folder import FolderSource
from qvl.errors import RecordError


def test_every_picture_of_a_folder_has_the_one_summary_and_no_objects(tmp_path):
    for name in ("b.JPG", "sub folder/ä.png", "val/c.webp", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    source = FolderSource(path=str(tmp_path), summary="无关图片")
    rows = [row for row in source.read() if isinstance(row, Annotated)]
    assert [(row.image, row.split) for row in rows] == [
        ("b.JPG", None),
        ("sub folder/ä.png", None),
        ("val/c.webp", "val"),
    ]
    assert {(row.summary, row.objects) for row in rows} == {("无关图片", ())}
    assert source.size_hint() == 3


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="no file ending with"):
        list(FolderSource(path=str(tmp_path), summary="x").read())


@pytest.mark.parametrize("summary", ["", " ", "two\nlines"])
def test_the_summary_is_one_line(summary):
    with pytest.raises(ValueError, match="one line"):
        FolderSource(path="x", summary=summary)
