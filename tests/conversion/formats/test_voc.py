"""Pascal VOC as its importer reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.voc import VocSource, _from_one
from qvl.errors import RecordError

BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>640</xmax><ymax>480</ymax></bndbox>"
SIZE = "<size><width>640</width><height>480</height><depth>3</depth></size>"


def thing(inside: str = BOX, name: str = "cat") -> str:
    return f"<object><name>{name}</name>{inside}</object>"


def voc(path: Path, *objects: str, name: str = "a.jpg", size: str = SIZE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"<annotation><filename>{name}</filename>{size}{''.join(objects)}</annotation>"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **settings: object) -> list[Annotated | Refused]:
    return [*VocSource(path=str(path), **settings).read()]  # type: ignore[arg-type]


def one(path: Path, **settings: object) -> Annotated:
    (row,) = read(path, **settings)
    assert isinstance(row, Annotated)
    return row


def codes(refused: Sequence[Annotated | Refused]) -> list[str]:
    return [entry.code for entry in refused if isinstance(entry, Refused)]


def test_a_box_around_the_whole_picture_covers_all_its_edges(tmp_path):
    row = one(voc(tmp_path / "a.xml", thing()))
    assert row.objects[0].parts == ((0, 0, 640, 480),)
    assert (row.objects[0].label, row.objects[0].kind, row.width, row.height) == ("cat", "bbox_2d", 640, 480)
    assert row.repairs == ("one_based",)


def test_a_source_that_counts_edges_is_taken_as_it_is(tmp_path):
    row = one(voc(tmp_path / "a.xml", thing()), one_based=False)
    assert row.objects[0].parts == ((1, 1, 640, 480),)
    assert row.repairs == ()


@given(left=st.integers(1, 50), top=st.integers(1, 50), width=st.integers(1, 50), height=st.integers(1, 50))
def test_a_box_covers_exactly_the_pixels_that_it_names_in_any_order_of_its_corners(left, top, width, height):
    right, bottom = left + width - 1, top + height - 1
    _, numbers, _ = _from_one((left, top, right, bottom))
    assert numbers == _from_one((right, bottom, left, top))[1]
    assert (numbers[2] - numbers[0], numbers[3] - numbers[1]) == (width, height)


def test_a_zero_in_a_source_that_counts_from_one_stays_in_the_picture_and_is_counted(tmp_path):
    zero = BOX.replace("<xmin>1<", "<xmin>0<")
    row = one(voc(tmp_path / "a.xml", thing(zero)))
    assert row.objects[0].parts == ((0, 0, 640, 480),)
    assert row.repairs == ("one_based", "zero_in_one_based")


def test_flags_and_attributes_that_are_set_become_words(tmp_path):
    inside = (
        BOX + "<pose>Left</pose><truncated>1</truncated><difficult>0</difficult><occluded>1</occluded>"
        "<attributes><attribute><name>color</name><value>red</value></attribute></attributes>"
    )
    path = voc(tmp_path / "a.xml", thing(inside))
    words = one(path).objects[0].attributes
    assert words == {"truncated": "true", "occluded": "true", "pose": "Left", "color": "red"}
    assert one(path, extras=[]).objects[0].attributes == {"color": "red"}


def test_difficult_objects_are_refused_on_request(tmp_path):
    path = voc(tmp_path / "a.xml", thing(), thing(BOX + "<difficult>1</difficult>"))
    assert len(one(path).objects) == 2
    row = one(path, keep_difficult=False)
    assert (len(row.objects), codes(row.refused)) == (1, ["difficult"])
    assert row.refused[0].where == "a.xml: object 2"


def test_a_turned_box_turns_clockwise_on_the_screen(tmp_path):
    quarter = "<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>1.5707963267948966</angle></robndbox>"
    row = one(voc(tmp_path / "a.xml", thing(quarter)))
    assert row.objects[0].kind == "poly"
    # the top left corner of the upright box (40, 35) is at the top right after a quarter turn
    assert row.objects[0].parts[0] == pytest.approx((55, 30, 55, 50, 45, 50, 45, 30))
    assert row.repairs == ("box_turned",)


@pytest.mark.parametrize(
    "polygon",
    [
        "<x1>1</x1><y1>2</y1><x2>3</x2><y2>4</y2><x3>5</x3><y3>0</y3>",
        "<y2>4</y2><x2>3</x2><x1>1</x1><y1>2</y1><x3>5</x3><y3>0</y3>",
        "<point><x>1</x><y>2</y></point><point><x>3</x><y>4</y></point><point><x>5</x><y>0</y></point>",
    ],
)
def test_an_outline_is_taken_in_place_of_the_box_around_it(tmp_path, polygon):
    row = one(voc(tmp_path / "a.xml", thing(f"{BOX}<polygon>{polygon}</polygon>")))
    assert (row.objects[0].kind, row.objects[0].parts) == ("poly", ((1, 2, 3, 4, 5, 0),))


def test_ten_vertices_keep_their_order(tmp_path):
    inside = "".join(f"<x{n}>{n}</x{n}><y{n}>0</y{n}>" for n in range(1, 12))
    row = one(voc(tmp_path / "a.xml", thing(f"<polygon>{inside}</polygon>")))
    assert row.objects[0].parts[0][::2] == tuple(range(1, 12))


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        (thing(BOX, name=" "), "no_label"),
        (thing(""), "bad_shape"),
        (thing(BOX.replace("640", "wide")), "bad_shape"),
        (thing(BOX.replace("<xmin>1</xmin>", "")), "bad_shape"),
        (thing("<polygon><x1>1</x1><y1>2</y1><x2>3</x2></polygon>"), "bad_shape"),
        (thing("<polygon/>"), "bad_shape"),
        (thing("<robndbox><cx>1</cx><cy>1</cy><w>1</w><h>1</h><angle>nan</angle></robndbox>"), "bad_shape"),
    ],
)
def test_an_object_that_cannot_be_read_is_refused_and_the_others_stay(tmp_path, inside, code):
    row = one(voc(tmp_path / "a.xml", inside, thing()))
    assert (len(row.objects), codes(row.refused)) == (1, [code])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<annotation><object>", "bad_xml"),
        ("", "bad_xml"),
        ("<annotations/>", "not_voc"),
        ("<annotation><filename> </filename></annotation>", "no_picture_named"),
        ('<!DOCTYPE a [<!ENTITY b "cc">]><annotation>&b;</annotation>', "bad_xml"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_refused_row(tmp_path, text, code):
    voc(tmp_path / "b.xml", thing())
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    rows = read(tmp_path)
    assert codes(rows) == [code]
    assert len(rows) == 2


@pytest.mark.parametrize(
    "size", ["", "<size><width>0</width><height>0</height></size>", "<size><width>9</width></size>"]
)
def test_a_size_that_is_missing_is_declared_by_nobody(tmp_path, size):
    row = one(voc(tmp_path / "a.xml", thing(), size=size))
    assert (row.width, row.height) == (None, None)


def test_the_folders_of_voc_are_found_and_image_sets_say_the_split(tmp_path):
    voc(tmp_path / "Annotations/a b.xml", thing(), name="a b.jpg")
    voc(tmp_path / "Annotations/猫.xml", thing(), name="猫.jpg")
    (tmp_path / "JPEGImages").mkdir()
    for name in ("a b.jpg", "猫.jpg"):
        (tmp_path / "JPEGImages" / name).touch()
    sets = tmp_path / "ImageSets/Main"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text('"a b"\n猫\n', encoding="utf-8")
    (sets / "val.txt").write_text("猫\n", encoding="utf-8")
    rows = [row for row in read(tmp_path) if isinstance(row, Annotated)]
    assert [row.image for row in rows] == ["JPEGImages/a b.jpg", "JPEGImages/猫.jpg"]
    assert [row.split for row in rows] == ["train", "val"]
    assert "in_two_splits" in rows[1].repairs
    assert [row.image for row in read(tmp_path / "Annotations") if isinstance(row, Annotated)] == ["a b.jpg", "猫.jpg"]


def test_pictures_of_one_name_in_two_folders_belong_to_the_file_beside_them(tmp_path):
    for folder in "ab":
        voc(tmp_path / folder / "1.xml", thing(), name="1.jpg")
        (tmp_path / folder / "1.jpg").touch()
    assert [row.image for row in read(tmp_path) if isinstance(row, Annotated)] == ["a/1.jpg", "b/1.jpg"]


def test_a_picture_that_is_not_there_keeps_the_name_of_the_source(tmp_path):
    assert one(voc(tmp_path / "a.xml", thing(), name="x\\y.jpg")).image == "x/y.jpg"


def test_a_link_that_leads_back_is_one_refused_row(tmp_path):
    voc(tmp_path / "in/a.xml", thing())
    (tmp_path / "in/loop").symlink_to(tmp_path, target_is_directory=True)
    rows = read(tmp_path)
    assert codes(rows) == ["folder_loop"]
    assert len(rows) == 2


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(RecordError, match=r"no file ending with \.xml"):
        read(tmp_path)
    with pytest.raises(ValueError, match="extras must be among"):
        VocSource(path=".", extras=["colour"])
