"""The verb `qvl.convert` on formats with many pictures a file and on folders, from the configuration to the rows."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

WIDTH, HEIGHT = 80, 40
BOX = [8, 4, 40, 20]
"""Ten to fifty percent of both sides."""


def picture(path: Path, *, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.linear_gradient("L").rotate(90 * seed).resize((WIDTH, HEIGHT))
    image.save(path)


def write(path: Path, *values: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(value, ensure_ascii=False) for value in values), encoding="utf-8")
    return path


def codes(rejected: list[dict]) -> list[tuple[str, str]]:
    return sorted((entry["kind"], entry["code"]) for entry in rejected)


def test_label_studio(convert, tmp_path):
    def region(name: str, value: dict, **more: object) -> dict:
        return {"id": name, "original_width": WIDTH, "original_height": HEIGHT, "value": value, **more}

    box = {"x": 10, "y": 10, "width": 40, "height": 40}
    results = [
        region("a", {**box, "rotation": 0, "rectanglelabels": ["cat"]}, type="rectanglelabels"),
        region("a", {**box, "choices": ["red"]}, type="choices", from_name="color"),
        region("b", {**box, "x": 50, "rotation": 45, "rectanglelabels": ["猫"]}, type="rectanglelabels"),
        region("c", {"format": "rle", "rle": [0], "brushlabels": ["cat"]}, type="brushlabels"),
    ]
    image = "/data/local-files/?d=somewhere/b%C3%A4r%201.png"
    tasks = [
        {"id": 1, "data": {"image": image}, "annotations": [{"result": results}]},
        {"id": 2, "data": {"image": image}, "annotations": [{"result": [], "was_cancelled": True}]},
    ]
    picture(tmp_path / "set/bär 1.png")
    rows, rejected, report = convert(
        "label_studio", write(tmp_path / "set/export.json", tasks), "desc='{category},{attributes}'"
    )
    plain, turned = rows[0]["objects"]
    assert plain == {"desc": "cat,color=red", "bbox_2d": BOX}
    reach = 2**-0.5  # (40, 4) is the top left corner, which stays; 32 by 16 pixels are turned
    corners = [40, 4, 40 + 32 * reach, 4 + 32 * reach, 40 + 16 * reach, 4 + 48 * reach, 40 - 16 * reach, 4 + 16 * reach]
    assert (turned["desc"], turned["poly"]) == ("猫", pytest.approx(corners, abs=1e-3))
    assert codes(rejected) == [("object", "brush"), ("row", "cancelled")]
    assert report["repairs"] == {"box_turned": 1, "picture_found_by_name": 1}
    assert rows[0]["metadata"]["task"] == 1


def test_via(convert, tmp_path):
    shapes = [
        {"name": "rect", "x": 8, "y": 4, "width": 32, "height": 16},
        {"name": "polyline", "all_points_x": [0, 100], "all_points_y": [0, 0]},
        {"name": "circle", "cx": 40, "cy": 20, "r": 10},
        {"name": "rect", "x": 90, "y": 4, "width": 5, "height": 5},
    ]
    regions = [{"shape_attributes": shape, "region_attributes": {"type": "cat", "age": "3"}} for shape in shapes]
    picture(tmp_path / "set/a.png")
    content = {key: {"filename": f"{key}.png", "regions": regions} for key in ("a", "gone")}
    rows, rejected, report = convert("via", write(tmp_path / "set/via.json", content), "desc='{category},{attributes}'")
    box, line, outline = rows[0]["objects"]
    assert box == {"desc": "cat,age=3", "bbox_2d": BOX}
    assert line["line"] == [0, 0, WIDTH, 0]
    assert len(outline["poly"]) == 32
    assert codes(rejected) == [("object", "outside"), ("row", "no_picture")]
    assert report["repairs"] == {"circle_outlined": 1, "clipped": 1, "size_missing": 1}


def test_geojson(convert, tmp_path):
    ring = [[0, 0], [40, 0], [40, -20], [0, -20], [0, 0]]
    hole = [[1, -1], [2, -1], [2, -2], [1, -1]]
    features = [
        {
            "type": "Feature",
            "properties": {"class": "roof"},
            "geometry": {"type": "Polygon", "coordinates": [ring, hole]},
        },
        {"type": "Feature", "properties": {"class": "roof"}, "geometry": {"type": "Point", "coordinates": [1, 1]}},
    ]
    picture(tmp_path / "pictures/deep/a.png")
    folder = write(tmp_path / "shapes/a.geojson", {"type": "FeatureCollection", "features": features}).parent
    images = f"source.images='{tmp_path / 'pictures'}'"
    rows, rejected, report = convert("geojson", folder, images, "source.y_axis=negative")
    assert rows[0]["objects"] == [{"desc": "roof", "poly": [0, 0, 40, 0, 40, 20, 0, 20]}]
    assert codes(rejected) == [("object", "point")]
    assert report["repairs"] == {"hole_ignored": 1, "size_missing": 1}


def test_chat_in_an_archive(convert, tmp_path):
    answer = json.dumps(
        [{"bbox_2d": [100, 100, 500, 500], "label": "cat"}, {"bbox_2d": [900, 0, 1000, 0], "label": "dog"}]
    )
    turns = [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": answer}]
    picture(tmp_path / "set/train/a.png")
    picture(tmp_path / "set/valid/a.png", seed=1)
    for split in ("train", "valid"):
        write(tmp_path / "set" / split / "data.jsonl", {"image": "a.png", "conversations": turns}, {"image": "a.png"})
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((tmp_path / "set").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path / "set"))
    rows, rejected, _ = convert("chat", tmp_path / "set.zip", "source.units=norm1000", "split.by=source")
    assert [row["objects"] for row in rows] == [[{"desc": "cat", "bbox_2d": BOX}]]
    assert codes(rejected) == [
        ("object", "degenerate"),
        ("object", "degenerate"),
        ("row", "no_answer"),
        ("row", "no_answer"),
    ]
    assert len((tmp_path / "out/val.jsonl").read_text(encoding="utf-8").splitlines()) == 1


def test_swift(convert, tmp_path):
    objects = {"ref": ["cat"], "bbox": [[0.1, 0.1, 0.5, 0.5], [0.5, 0.5, 0.1, 0.1]], "bbox_type": "norm1"}
    turns = [{"role": "user", "content": "<image>Find <ref-object>"}, {"role": "assistant", "content": "<bbox><bbox>"}]
    row = {"messages": turns, "images": ["pictures/a.png"], "objects": objects}
    picture(tmp_path / "set/pictures/a.png")
    path = write(tmp_path / "set/train.jsonl", row, {**row, "objects": []})
    rows, rejected, report = convert("swift", path)
    assert rows[0]["objects"] == [{"desc": "cat", "bbox_2d": BOX}] * 2
    assert codes(rejected) == [("row", "no_grounding")]
    assert report["repairs"] == {"box_reversed": 1, "size_missing": 1}


def test_a_folder_of_pictures(convert, tmp_path):
    picture(tmp_path / "others/a b.png")
    picture(tmp_path / "others/sub/猫.png", seed=1)
    write(tmp_path / "others/sub/broken.png", "no picture")
    rows, rejected, report = convert("pictures", tmp_path / "others")
    assert [(row["summary"], row["width"]) for row in rows] == [("无关图片", WIDTH)] * 2
    assert not any(row.get("objects") for row in rows)
    assert [entry["kind"] for entry in rejected] == ["row"]
    assert report["source"]["format"] == "folder"
