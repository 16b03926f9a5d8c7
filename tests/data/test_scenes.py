from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qvl.data import DemoScenes, KeepAll
from qvl.data.painting import paint
from qvl.data.rows import CheckedRows
from qvl.data.scenes import STYLES, Layout, Part, layout_scene


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def scenes(root: Path, **changes: object) -> DemoScenes:
    values = {"root": str(root), "style": "field", "seed": 7, "splits": {"train": 6, "val": 2}} | changes
    return DemoScenes(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_shape_lies_inside_the_canvas_and_every_kind_occurs(style):
    kinds = set()
    for seed in range(60):
        layout = layout_scene(STYLES[style], np.random.default_rng(seed))
        for part in layout.parts:
            kinds.add((part.kind, part.key))
            assert part.desc.startswith("type=")
            assert (part.points >= 0).all()
            assert (part.points <= (layout.width, layout.height)).all()
    assert kinds == {("device", "poly"), ("label", "poly"), ("screw", "bbox_2d"), ("cable", "line")}


def test_the_painted_edge_lies_where_the_annotation_says():
    corners = np.array([[20.0, 30.0], [60.0, 30.0], [60.0, 70.0], [20.0, 70.0]])
    part = Part("label", "type=label", "poly", corners, (255, 0, 0))
    layout = Layout(100, 100, 255, 0.0, (part,))
    red = np.asarray(paint(layout, np.random.default_rng(0)), dtype=int)
    covered = (red[:, :, 1] < 128) & (red[:, :, 0] > 128)
    ys, xs = np.nonzero(covered)
    assert (xs.min(), xs.max() + 1, ys.min(), ys.max() + 1) == (20, 60, 30, 70)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    first, again, other = (
        digests(scenes(tmp_path / name, seed=seed).prepare()) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert first == again
    assert all(first[name] != other[name] for name in first if name.endswith(".jpg"))


def test_the_rows_hold_the_contract(tmp_path):
    folder = scenes(tmp_path / "demo").prepare()
    rows = CheckedRows(str(folder / "train.jsonl"), preprocessor=KeepAll())
    assert rows.check() == []
    assert len(rows) == 6


def test_a_whole_set_is_left_alone_and_a_changed_request_makes_a_new_one(tmp_path):
    folder = scenes(tmp_path / "demo").prepare()
    stamp = (folder / "train.jsonl").stat().st_mtime_ns
    scenes(tmp_path / "demo").prepare()
    assert (folder / "train.jsonl").stat().st_mtime_ns == stamp
    scenes(tmp_path / "demo", splits={"train": 3, "val": 1}).prepare()
    assert len((folder / "train.jsonl").read_text().splitlines()) == 3
    assert json.loads((folder / "manifest.json").read_text())["splits"] == {"train": 3, "val": 1}


def test_an_interrupted_set_is_made_anew(tmp_path):
    staging = tmp_path / ".demo.staging" / "images"
    staging.mkdir(parents=True)
    (staging / "left_over.jpg").write_bytes(b"half")
    folder = scenes(tmp_path / "demo").prepare()
    assert not (folder / "images" / "left_over.jpg").exists()
    with Image.open(folder / "images" / "val_000001.jpg") as image:
        assert image.size == (256, 192)


@pytest.mark.parametrize("change", [{"style": "attic"}, {"splits": {"train": 0}}])
def test_an_impossible_request_is_refused(tmp_path, change):
    with pytest.raises(ValueError):
        scenes(tmp_path, **change)
