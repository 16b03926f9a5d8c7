"""CVAT for images as its importer reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion import Annotated, Refused
from qvl.conversion.formats.cvat import CvatSource

BOX = '<box label="cat" xtl="10" ytl="20" xbr="30" ybr="60"/>'


def image(*shapes: str, name: str = "a.jpg", more: str = "") -> str:
    return f'<image id="7" name="{name}" width="640" height="480" {more}>{"".join(shapes)}</image>'


def cvat(folder: Path, *images: str, name: str = "annotations.xml") -> Path:
    text = f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{"".join(images)}</annotations>'
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def read(path: Path, **settings: object) -> list[Annotated | Refused]:
    return [*CvatSource(path=str(path), **settings).read()]  # type: ignore[arg-type]


def one(path: Path, **settings: object) -> Annotated:
    (row,) = read(path, **settings)
    assert isinstance(row, Annotated)
    return row


def box(degrees: float) -> str:
    return BOX.replace("/>", f' rotation="{degrees}"/>')


@pytest.mark.parametrize(
    ("shape", "kind", "numbers"),
    [
        (BOX, "bbox_2d", (10, 20, 30, 60)),
        (box(0), "bbox_2d", (10, 20, 30, 60)),
        (box(360), "bbox_2d", (10, 20, 30, 60)),
        ('<polygon label="cat" points="1,2;3.5,4;5,0"/>', "poly", (1, 2, 3.5, 4, 5, 0)),
        ('<polyline label="cat" points="1,2;3.5,4"/>', "line", (1, 2, 3.5, 4)),
        ('<points label="cat" points="1,2"/>', "point", (1, 2)),
    ],
)
def test_each_shape_becomes_its_kind(tmp_path, shape, kind, numbers):
    row = one(cvat(tmp_path, image(shape)))
    assert (row.objects[0].kind, row.objects[0].parts) == (kind, (numbers,))
    assert (row.objects[0].label, row.width, row.height, row.repairs) == ("cat", 640, 480, ())
    assert row.where == "annotations.xml: image 7"


def test_a_box_is_turned_clockwise_about_its_centre(tmp_path):
    row = one(cvat(tmp_path, image(box(90))))
    assert row.objects[0].kind == "poly"
    # centre (20, 40); the top left corner (10, 20) is at the top right after a quarter turn
    assert row.objects[0].parts[0] == pytest.approx((40, 30, 40, 50, 0, 50, 0, 30))
    assert row.repairs == ("box_turned",)


@given(degrees=st.floats(-720, 720))
def test_turning_keeps_the_centre_and_the_sides_of_a_box(tmp_path_factory, degrees):
    numbers = one(cvat(tmp_path_factory.getbasetemp(), image(box(degrees)))).objects[0].parts[0]
    if len(numbers) == 4:
        return
    xs, ys = numbers[::2], numbers[1::2]
    assert (sum(xs) / 4, sum(ys) / 4) == pytest.approx((20, 40))
    assert ((xs[1] - xs[0]) ** 2 + (ys[1] - ys[0]) ** 2) ** 0.5 == pytest.approx(20)
    assert ((xs[2] - xs[1]) ** 2 + (ys[2] - ys[1]) ** 2) ** 0.5 == pytest.approx(40)


def test_an_ellipse_becomes_a_polygon_of_its_area(tmp_path):
    row = one(cvat(tmp_path, image('<ellipse label="cat" cx="100" cy="50" rx="30" ry="10" rotation="90"/>')))
    xs, ys = row.objects[0].parts[0][::2], row.objects[0].parts[0][1::2]
    doubled = sum(x * y2 - x2 * y for x, y, x2, y2 in zip(xs, ys, xs[1:] + xs[:1], ys[1:] + ys[:1], strict=True))
    assert doubled / 2 == pytest.approx(3.14159265 * 30 * 10, rel=1e-6)
    assert (max(xs) - 100, max(ys) - 50) == pytest.approx((10, 30), rel=0.03)
    assert row.repairs == ("ellipse_outlined",)


def test_each_of_several_points_is_an_object(tmp_path):
    row = one(cvat(tmp_path, image('<points label="wheel" points="1,2;3,4"/>')))
    assert [found.parts for found in row.objects] == [((1, 2),), ((3, 4),)]
    assert row.repairs == ("points_split",)


def test_attributes_come_in_their_order_and_what_is_empty_is_left_out(tmp_path):
    shape = (
        '<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4" occluded="1" z_order="2" source="manual" group_id="5">'
        '<attribute name="颜色">红</attribute><attribute name="age"> </attribute>'
        '<attribute name="size">big</attribute></box>'
    )
    path = cvat(tmp_path, image(shape))
    chosen = {"颜色": "红", "size": "big"}
    assert [*one(path).objects[0].attributes.items()] == [*chosen.items(), ("occluded", "true")]
    assert one(path, extras=["z_order", "group_id"]).objects[0].attributes == chosen | {"z_order": "2", "group_id": "5"}
    with pytest.raises(ValueError, match="extras must be among"):
        CvatSource(path=".", extras=["colour"])


def test_tags_are_no_objects_but_words_about_the_picture(tmp_path):
    row = one(cvat(tmp_path, image(BOX, '<tag label="night" source="manual"/>')))
    assert (len(row.objects), row.refused, row.metadata) == (1, (), {"tags": ["night"]})


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ('<mask label="cat" rle="1, 2" left="1" top="2" width="3" height="1"/>', "mask"),
        ('<cuboid label="cat" xtl1="1"/>', "cuboid"),
        ('<skeleton label="cat"><points label="eye" points="1,2"/></skeleton>', "skeleton"),
        ('<hexagon label="cat"/>', "unknown_shape"),
        ('<box xtl="1" ytl="2" xbr="3" ybr="4"/>', "no_label"),
        ('<box label="cat" xtl="1" ytl="2" xbr="3"/>', "bad_shape"),
        ('<box label="cat" xtl="1" ytl="2" xbr="3" ybr="four"/>', "bad_shape"),
        ('<box label="cat" xtl="1" ytl="2" xbr="3" ybr="4" rotation="inf"/>', "bad_shape"),
        ('<box label="cat" xtl="nan" ytl="2" xbr="3" ybr="4" rotation="9"/>', "bad_shape"),
        ('<ellipse label="cat" cx="1" cy="2" rx="-3" ry="4"/>', "bad_shape"),
        ('<polygon label="cat" points="1,2;3"/>', "bad_points"),
        ('<polygon label="cat" points=""/>', "bad_points"),
        ('<polygon label="cat"/>', "bad_points"),
        ('<polyline label="cat" points="1,2,3;4,5,6"/>', "bad_points"),
    ],
)
def test_a_shape_that_cannot_be_read_is_refused_and_the_others_stay(tmp_path, shape, code):
    row = one(cvat(tmp_path, image(BOX, shape)))
    assert (len(row.objects), [entry.code for entry in row.refused]) == (1, [code])
    assert row.refused[0].where.startswith("annotations.xml: image 7: ")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<annotations><image", "bad_xml"),
        ("<annotation/>", "not_cvat"),
        ('<annotations><track id="0" label="cat"/></annotations>', "video_tracks"),
        ("<annotations><image/></annotations>", "no_picture_named"),
    ],
)
def test_what_is_no_picture_is_one_refused_row(tmp_path, text, code):
    cvat(tmp_path, image(BOX), name="b.xml")
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    first, second = read(tmp_path)
    assert isinstance(first, Refused)
    assert isinstance(second, Annotated)
    assert first.code == code


def test_pictures_of_an_export_lie_in_images_or_in_a_subset_of_it(tmp_path):
    (tmp_path / "images/Train").mkdir(parents=True)
    for name in ("images/Train/a.jpg", "images/猫 b.jpg", "c.jpg"):
        (tmp_path / name).touch()
    path = cvat(
        tmp_path,
        image(name="a.jpg", more='subset="Train"'),
        image(name="猫 b.jpg", more='subset="Validation"'),
        image(name="c.jpg", more='subset="default"'),
        image(name="x\\d.jpg"),
    )
    rows = [row for row in read(path) if isinstance(row, Annotated)]
    assert [row.image for row in rows] == ["images/Train/a.jpg", "images/猫 b.jpg", "c.jpg", "x/d.jpg"]
    assert [row.split for row in rows] == ["Train", "Validation", "default", None]
    inside = [row.image for row in read(path, images=str(tmp_path / "images")) if isinstance(row, Annotated)]
    assert inside == ["Train/a.jpg", "猫 b.jpg", "c.jpg", "x/d.jpg"]
