"""The verb `qvl.convert` on the formats with a file for each picture, from the configuration to the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

WIDTH, HEIGHT = 80, 60
VOC = """<annotation><filename>猫 1.jpg</filename><size><width>80</width><height>60</height></size>
<object><name>cat</name><truncated>1</truncated>
<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>wide</ymax></bndbox></object></annotation>"""
CVAT = """<annotations><image id="0" name="猫 1.jpg" width="80" height="60" subset="Train">
<box label="cat" occluded="1" xtl="10" ytl="20" xbr="40" ybr="60"><attribute name="color">red</attribute></box>
<box label="cat" xtl="30" ytl="20" xbr="50" ybr="40" rotation="45"/>
<polyline label="cable" points="0,0;90,60"/>
<points label="screw" points="5,5"/><mask label="cat" rle="4"/></image>
<image id="1" name="gone.jpg" width="80" height="60"><box label="cat" xtl="10" ytl="20" xbr="40" ybr="60"/></image>
</annotations>"""
LABELME = {
    "imagePath": "C:\\work\\猫 1.jpg",
    "imageWidth": WIDTH,
    "imageHeight": HEIGHT,
    "shapes": [
        {"label": "cat", "points": [[40, 60], [10, 20]], "shape_type": "rectangle", "flags": {"old": True}},
        {"label": "ball", "points": [[40, 30], [50, 30]], "shape_type": "circle"},
        {"label": "cable", "points": [[0, 0], [80, 60]], "shape_type": "line"},
        {"label": "cat", "points": [[0, 0], [9, 9]], "shape_type": "mask"},
    ],
}
YOLO = {
    "data.yaml": "train: train/images\nval: valid/images\nnames: [cat, dog]\n",
    "train/labels/猫 1.txt": "0 0.3125 0.66666667 0.375 0.66666667\n1 0 0 1 0 1 1 0 1\n7 0.5 0.5 1 1\n",
    "valid/labels/gone.txt": "0 0.5 0.5 1 1\n",
}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((WIDTH, HEIGHT), 60).save(path)


def files(folder: Path, texts: Mapping[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_pascal_voc(convert, tmp_path):
    folder = files(tmp_path / "VOC2012", {"Annotations/猫 1.xml": VOC, "Annotations/broken.xml": "<annotation>"})
    picture(folder / "JPEGImages/猫 1.jpg")
    rows, rejected, report = convert("voc", folder, "desc='type={category},{attributes}'")
    assert [row["objects"] for row in rows] == [[{"desc": "type=cat,truncated=true", "bbox_2d": [10, 20, 40, 60]}]]
    assert sorted((entry["kind"], entry["code"]) for entry in rejected) == [("object", "bad_shape"), ("row", "bad_xml")]
    assert report["repairs"] == {"one_based": 1}


def test_yolo(convert, tmp_path):
    folder = files(tmp_path / "set", YOLO)
    picture(folder / "train/images/猫 1.jpg")
    (folder / "valid/images").mkdir()
    rows, rejected, report = convert("yolo", folder)
    box, outline = rows[0]["objects"]
    assert (box["desc"], box["bbox_2d"]) == ("cat", pytest.approx([10, 20, 40, 60], abs=1e-4))
    assert (outline["desc"], outline["poly"]) == ("dog", [0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT])
    assert [(entry["kind"], entry["code"], entry["where"]) for entry in rejected] == [
        ("object", "unknown_class", "train/labels/猫 1.txt:3"),
        ("row", "label_without_picture", "valid/labels/gone.txt"),
    ]
    assert report["repairs"] == {"size_missing": 1}


def test_labelme(convert, tmp_path):
    folder = files(tmp_path / "set", {"a.json": json.dumps(LABELME), "b.json": "[1]"})
    picture(folder / "pictures/猫 1.jpg")
    rows, rejected, report = convert("labelme", folder, "desc='{category},{attributes}'")
    cat, ball, cable = rows[0]["objects"]
    assert cat == {"desc": "cat,old=true", "bbox_2d": [10, 20, 40, 60]}
    assert (ball["desc"], len(ball["poly"])) == ("ball", 32)
    assert cable == {"desc": "cable", "line": [0, 0, WIDTH, HEIGHT]}
    assert sorted(entry["code"] for entry in rejected) == ["mask", "not_labelme"]
    repairs = {"backslashes", "box_reversed", "circle_outlined", "picture_found_by_name"}
    assert {code for code, count in report["repairs"].items() if count == 1} == repairs


def test_cvat(convert, tmp_path):
    folder = files(tmp_path / "task", {"annotations.xml": CVAT})
    picture(folder / "images/Train/猫 1.jpg")
    rows, rejected, report = convert("cvat", folder, "desc='{category},{attributes}'", "point_size=4")
    cat, turned, cable, screw = rows[0]["objects"]
    assert cat == {"desc": "cat,color=red,occluded=true", "bbox_2d": [10, 20, 40, 60]}
    reach = 10 * 2**0.5
    assert turned["poly"] == pytest.approx([40, 30 - reach, 40 + reach, 30, 40, 30 + reach, 40 - reach, 30], abs=1e-3)
    assert cable["line"] == pytest.approx([0, 0, 80, 160 / 3], abs=1e-3)
    assert screw["bbox_2d"] == [3, 3, 7, 7]
    assert sorted(entry["code"] for entry in rejected) == ["mask", "no_picture"]
    assert report["repairs"] == {"box_turned": 1, "clipped": 1, "point_to_box": 1}
