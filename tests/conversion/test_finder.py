"""Where a picture lies."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from qvl.conversion.finder import REJECTED, Found, PictureFinder
from qvl.errors import RecordError


def folder(root: Path, *names: str) -> PictureFinder:
    for name in names:
        path = root / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return PictureFinder(root / "pictures")


def found(finder: PictureFinder, image: str) -> tuple[str, bool]:
    result = finder.find(image)
    assert isinstance(result, Found), result
    assert result.path.is_file()
    return result.name, result.by_name


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("a/one two.jpg", ("a/one two.jpg", False)),
        ("./a/one two.jpg", ("a/one two.jpg", False)),
        ("b/../a/one two.jpg", ("a/one two.jpg", False)),
        ("a\\one two.jpg", ("a/one two.jpg", False)),
        ("C:\\Users\\me\\one two.jpg", ("a/one two.jpg", True)),
        ("/home/me/one two.jpg", ("a/one two.jpg", True)),
        ("one two.jpg", ("a/one two.jpg", True)),
        ("ONE TWO.JPG", ("a/one two.jpg", True)),
        (unicodedata.normalize("NFD", "café.png"), ("b/café.png", True)),
    ],
)
def test_a_picture_is_found_by_path_and_then_by_name(tmp_path: Path, image: str, wanted: tuple[str, bool]) -> None:
    assert found(folder(tmp_path, "a/one two.jpg", "b/café.png"), image) == wanted


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("gone.jpg", "no_picture"),
        ("", "no_picture"),
        ("a\0b.jpg", "no_picture"),
        (f"{'x' * 5000}.jpg", "no_picture"),
        ("../secret.jpg", "path_outside"),
        ("a\\..\\..\\secret.jpg", "path_outside"),
        ("same.jpg", "many_pictures"),
    ],
)
def test_a_picture_that_is_not_there_once_is_refused(tmp_path: Path, image: str, code: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"")
    result = folder(tmp_path, "a/same.jpg", "b/same.jpg").find(image)
    assert not isinstance(result, Found)
    assert result[0] == code


def test_an_absolute_path_is_taken_if_it_is_there(tmp_path: Path) -> None:
    finder = folder(tmp_path, "a/one.jpg")
    (tmp_path / "two.jpg").write_bytes(b"")
    assert found(finder, str(tmp_path / "two.jpg")) == ("two.jpg", False)
    assert found(finder, str(tmp_path / "pictures/a/one.jpg")) == ("a/one.jpg", False)


def test_pictures_of_an_earlier_result_do_not_count(tmp_path: Path) -> None:
    finder = folder(tmp_path, "a/one.jpg", "out/images/one.jpg", f"out/{REJECTED}")
    assert found(finder, "one.jpg") == ("a/one.jpg", True)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"source\.images: there is no folder"):
        PictureFinder(tmp_path / "gone")
