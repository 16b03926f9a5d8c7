"""Pictures lie where the rows say, once each, in the size that the rows say."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.conversion.pictures import PictureStore, Placed
from qvl.errors import RecordError
from qvl.runtime import image_size, open_image

SIZE = (120, 80)


def picture(path: Path, color: str = "teal", *, size: tuple[int, int] = SIZE, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, **options)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_link_is_the_same_file(tmp_path: Path, out: Path) -> None:
    path = picture(tmp_path / "图 片.jpg")
    placed = PictureStore(out).place(path, "a b/图 片.jpg", SIZE)
    assert placed == Placed("images/a b/图 片.jpg", *SIZE)
    assert (out / placed.image).samefile(path)


def test_a_link_to_a_link_is_a_link_to_the_picture(tmp_path: Path, out: Path) -> None:
    (tmp_path / "link.jpg").symlink_to(picture(tmp_path / "a.jpg"))
    placed = PictureStore(out).place(tmp_path / "link.jpg", "link.jpg", SIZE)
    assert not (out / placed.image).is_symlink()
    assert (out / placed.image).samefile(tmp_path / "a.jpg")


def test_where_no_link_is_possible_the_picture_is_copied(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", refuse)
    path = picture(tmp_path / "a.jpg")
    placed = PictureStore(out).place(path, "a.jpg", SIZE)
    assert (out / placed.image).read_bytes() == path.read_bytes()


def test_a_copy_is_another_file(tmp_path: Path, out: Path) -> None:
    path = picture(tmp_path / "a.jpg")
    placed = PictureStore(out, mode="copy").place(path, "a.jpg", SIZE)
    assert (out / placed.image).read_bytes() == path.read_bytes()
    assert not (out / placed.image).samefile(path)


def test_a_reference_writes_nothing_and_names_the_folders_to_allow(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = PictureStore(out, mode="reference")
    for name in ("one/a.jpg", "one/deep/b.jpg", "other/c.jpg"):
        picture(tmp_path / name)
        assert store.place(Path(name), name, SIZE).image == str(tmp_path / name)
    assert store.roots == [tmp_path / "one", tmp_path / "other"]
    assert not out.exists()


def test_pictures_that_lie_beside_the_rows_need_no_root(tmp_path: Path, out: Path) -> None:
    store = PictureStore(out)
    store.place(picture(tmp_path / "a.jpg"), "a.jpg", SIZE)
    assert store.roots == []


@pytest.mark.parametrize("name", ["../../a.jpg", "/a.jpg", "//a.jpg", "./x/../../a.jpg"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, out: Path, name: str) -> None:
    placed = PictureStore(out).place(picture(tmp_path / "a.jpg"), name, SIZE)
    assert placed.image in ("images/a.jpg", "images/x/a.jpg")
    assert (out / placed.image).is_file()


def test_pictures_with_the_same_name_get_numbers_and_keep_them(tmp_path: Path, out: Path) -> None:
    paths = [picture(tmp_path / str(number) / "a.jpg", color) for number, color in enumerate(("red", "blue", "lime"))]
    store = PictureStore(out)
    names = [store.place(path, "a.jpg", SIZE).image for path in paths]
    assert names == ["images/a.jpg", "images/a_2.jpg", "images/a_3.jpg"]
    assert [store.place(path, "a.jpg", SIZE).image for path in reversed(paths)] == names[::-1]
    assert [(out / name).read_bytes() for name in names] == [path.read_bytes() for path in paths]


@pytest.mark.parametrize(("one", "other"), [("a.jpg", "A.JPG"), ("e\u0301.jpg", "\u00e9.jpg")])
def test_names_that_are_the_same_on_some_file_systems_are_kept_apart(
    tmp_path: Path, out: Path, one: str, other: str
) -> None:
    store = PictureStore(out)
    paths = [picture(tmp_path / "1" / "a.jpg"), picture(tmp_path / "2" / "a.jpg")]
    names = [store.claim(path, name) for path, name in zip(paths, (one, other), strict=True)]
    assert names[1] == f"{Path(other).stem}_2{Path(other).suffix}"


def test_a_name_with_a_number_that_is_taken_is_passed_over(tmp_path: Path, out: Path) -> None:
    store = PictureStore(out)
    wanted = [("1", "a_2.jpg"), ("2", "a.jpg"), ("3", "a.jpg")]
    assert [store.claim(tmp_path / path, name) for path, name in wanted] == ["a_2.jpg", "a.jpg", "a_3.jpg"]


def test_many_threads_place_every_picture_once(tmp_path: Path, out: Path) -> None:
    paths = [picture(tmp_path / str(number) / "a.png", f"#{number:06x}") for number in range(40)]
    store = PictureStore(out, mode="copy")
    with ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(lambda path: store.place(path, "a.png", SIZE), paths * 3))
    assert len(list((out / "images").iterdir())) == 40
    for path, one in zip(paths * 3, placed, strict=True):
        assert (out / one.image).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("size", [(640, 480), (33, 31), (300, 1200), (64, 64)])
@pytest.mark.parametrize("mode", ["link", "reference"])
def test_a_resized_picture_has_the_size_that_is_said(
    tmp_path: Path, out: Path, size: tuple[int, int], mode: str
) -> None:
    store = PictureStore(out, mode=mode, max_pixels=200_000, min_pixels=4096)  # type: ignore[arg-type]
    path = picture(tmp_path / "a.png", size=size)
    placed = store.place(path, "a.png", size)
    assert (placed.width, placed.height) == store.target_size(size) == image_size(out / placed.image)
    assert placed.width % 32 == placed.height % 32 == 0
    assert 4096 <= placed.width * placed.height <= 200_000
    assert (out / placed.image).samefile(path) == (size == (64, 64))  # it has the right size already


@pytest.mark.parametrize(
    ("source", "name", "written"),
    [
        ("JPEG", "a.JPG", "a.JPG"),
        ("JPEG", "a.jpeg", "a.jpeg"),
        ("JPEG", "a.bmp", "a.jpg"),  # a wrong name of the source
        ("BMP", "a.bmp", "a.png"),
        ("WEBP", "x.y/a", "x.y/a.png"),
    ],
)
def test_a_resized_picture_keeps_its_kind_and_has_a_true_ending(
    tmp_path: Path, out: Path, source: str, name: str, written: str
) -> None:
    path = picture(tmp_path / "source", format=source)
    placed = PictureStore(out, max_pixels=4096).place(path, name, SIZE)
    assert placed.image == f"images/{written}"
    with Image.open(out / placed.image) as image:
        assert image.format == ("JPEG" if source == "JPEG" else "PNG")


def test_pictures_whose_new_endings_would_meet_are_kept_apart(tmp_path: Path, out: Path) -> None:
    store = PictureStore(out, max_pixels=4096)
    paths = [picture(tmp_path / name, color) for name, color in (("a.bmp", "red"), ("a.png", "blue"))]
    placed = [store.place(path, path.name, SIZE) for path in paths]
    assert [one.image for one in placed] == ["images/a.png", "images/a_2.png"]
    colors = [open_image(out / one.image).getpixel((5, 5)) for one in placed]
    assert colors == [(255, 0, 0), (0, 0, 255)]


def test_a_turned_picture_is_upright_after_it_was_resized(tmp_path: Path, out: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = picture(tmp_path / "a.jpg", size=(320, 160), exif=exif)
    placed = PictureStore(out, max_pixels=20_000).place(path, "a.jpg", (160, 320))
    assert placed.width < placed.height
    with Image.open(out / placed.image) as image:
        assert (image.size, dict(image.getexif())) == ((placed.width, placed.height), {})


def test_fine_structures_do_not_flicker_when_made_smaller(tmp_path: Path, out: Path) -> None:
    board = np.indices((512, 512)).sum(axis=0).astype(np.uint8) % 2 * 255
    path = tmp_path / "a.png"
    Image.fromarray(board).save(path)
    placed = PictureStore(out, max_pixels=64 * 64).place(path, "a.png", (512, 512))
    assert np.abs(np.asarray(open_image(out / placed.image), dtype=int) - 127).max() <= 2


def test_a_picture_that_is_too_long_and_narrow_is_refused_before_it_is_opened(out: Path) -> None:
    with pytest.raises(RecordError, match="ratio of the sides"):
        PictureStore(out, max_pixels=4096).place(Path("nowhere.jpg"), "a.jpg", (30_000, 10))


def test_a_damaged_picture_is_refused_and_leaves_nothing(tmp_path: Path, out: Path) -> None:
    path = picture(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(RecordError, match=r"a\.jpg"):
        PictureStore(out, max_pixels=4096).place(path, "a.jpg", SIZE)
    assert not list((out / "images").iterdir())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "move"}, "link, copy, reference"),
        ({"max_pixels": 1000}, "one square of side_factor"),
        ({"max_pixels": 4096, "min_pixels": 5000}, "at least min_pixels"),
        ({"max_pixels": 4096, "side_factor": 0}, "side_factor >= 1"),
    ],
)
def test_settings_that_leave_no_size_are_refused(out: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PictureStore(out, **settings)  # type: ignore[arg-type]
