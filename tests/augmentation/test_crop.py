"""Crops around objects: which are chosen, where the window is, what is said about what was cut."""

from __future__ import annotations

import numpy as np
import pytest

from qvl.augmentation import RoiCrop, Sample, Translate
from qvl.geometry import Box, Polyline, Shape, area
from qvl.records import ObjectRecord, Record, Source

WIDTH, HEIGHT = 400, 300
ANCHORS = {"type": ["device", "psu"]}


def record(*objects: tuple[str, Shape]) -> Record:
    items = tuple(ObjectRecord(desc, shape) for desc, shape in objects)
    return Record(("a.png",), items, WIDTH, HEIGHT, Source("rows.jsonl", 1))


def crop(source: Record, seed: int = 0, min_coverage: float = 0.3, **parameters: object) -> Sample:
    transform = RoiCrop(**({"p": 1, "anchors": ANCHORS, "min_size": 20} | parameters))
    return transform(Sample.of(source, min_coverage=min_coverage), np.random.default_rng(seed))


def window(sample: Sample) -> tuple[float, float, int, int]:
    left, top = (-sample.view.matrix[:2, 2]).tolist()
    return left, top, sample.record.width, sample.record.height


@pytest.mark.parametrize(
    ("desc", "is_anchor"),
    [
        ("type=device", True),
        ("type=device,brand=a", True),
        ("brand=a,type=psu", True),
        ("brand=a，type=psu，x=1", True),
        ("brand=a, type=psu", True),
        ("type=devices", False),
        ("mytype=device", False),
        ("type=screw,remark=near type=device", False),
        ("device", False),
        ("type=", False),
    ],
)
def test_an_anchor_has_the_whole_token(desc: str, is_anchor: bool) -> None:
    assert crop(record((desc, Box(150, 100, 200, 150)))).changed == is_anchor


def test_a_line_is_no_anchor() -> None:
    source = record(("type=device", Polyline(np.array([[10, 10], [50, 60]]))), ("type=screw", Box(1, 1, 9, 9)))
    sample = Sample.of(source)
    assert RoiCrop(p=1, anchors=ANCHORS)(sample, np.random.default_rng(0)) is sample


def test_an_object_that_is_out_of_sight_is_no_anchor() -> None:
    source = record(("type=device", Box(0, 0, 30, 30)), ("type=screw", Box(200, 200, 250, 250)))
    moved = Sample.of(source).deferred().moved(np.array([[1.0, 0, -100], [0, 1, 0], [0, 0, 1]]))
    assert RoiCrop(p=1, anchors=ANCHORS)(moved, np.random.default_rng(0)) is moved


def test_the_window_is_around_the_anchor() -> None:
    source = record(("type=device", Box(150, 100, 200, 140)))
    widths = set()
    for seed in range(40):
        left, top, width, height = window(crop(source, seed, scale_low=1.5, scale_high=3.0))
        assert (left, top) == (int(left), int(top))
        assert 75 <= width <= 150
        assert 60 <= height <= 120
        assert abs(left + width / 2 - 175) <= 0.5
        assert abs(top + height / 2 - 120) <= 0.5
        widths.add(width)
    assert len(widths) > 20


def test_every_anchor_is_chosen_now_and_then() -> None:
    boxes = [Box(50, 50, 70, 70), Box(200, 50, 220, 70), Box(300, 200, 320, 220)]
    source = record(*((f"type={kind}", box) for kind, box in zip(("device", "psu", "screw"), boxes, strict=True)))
    assert {round(window(crop(source, seed, scale_high=1.2))[0] / 50) for seed in range(30)} == {1, 4}


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(0, 0, 20, 20), (0, 0, 100, 100)),
        (Box(380, 280, 400, 300), (300, 200, 100, 100)),
        (Box(190, 140, 210, 160), (150, 100, 100, 100)),
    ],
)
def test_the_window_is_pushed_into_the_picture_and_not_shrunk(box: Box, expected: tuple[int, int, int, int]) -> None:
    assert window(crop(record(("type=device", box)), min_size=100, scale_high=1.2)) == expected


def test_the_window_is_never_larger_than_the_picture() -> None:
    sample = crop(record(("type=device", Box(10, 10, 390, 290))), min_size=1000, scale_low=2.0)
    assert window(sample) == (0, 0, WIDTH, HEIGHT)
    assert not sample.changed


def test_what_is_cut_too_much_leaves() -> None:
    near, far = Box(195, 100, 215, 120), Box(300, 100, 320, 120)
    source = record(("type=device", Box(150, 100, 200, 150)), ("type=screw", near), ("type=screw", far))
    sample = crop(source, scale_low=1.2, scale_high=1.2)  # 60 wide, from 145 to 205
    assert [item.desc for item in sample.record.objects] == ["type=device", "type=screw"]
    assert sample.record.objects[1].shape == Box(50, 5, 60, 25)
    assert len(crop(source, min_coverage=0.51, scale_low=1.2, scale_high=1.2).record.objects) == 1


COMPLETENESS = {"key": "seen", "full": "all", "partial": "part", "below": 0.95}


@pytest.mark.parametrize(
    ("desc", "expected"),
    [
        ("type=screw,seen=all", "type=screw,seen=part"),
        ("seen=all", "seen=part"),
        ("type=screw，seen=all，x=1", "type=screw，seen=part，x=1"),
        ("type=screw, seen=all ,x=1", "type=screw, seen=part ,x=1"),
        ("type=screw,remark=was seen=all before", "type=screw,remark=was seen=all before"),
        ("type=screw,overseen=all", "type=screw,overseen=all"),
        ("type=screw,seen=alloy", "type=screw,seen=alloy"),
        ("type=screw,seen=part", "type=screw,seen=part"),
        ("type=screw", "type=screw"),
    ],
)
def test_completeness_is_rewritten_in_its_own_token(desc: str, expected: str) -> None:
    source = record(("type=device,seen=all", Box(150, 100, 200, 150)), (desc, Box(195, 100, 215, 120)))
    sample = crop(source, scale_low=1.2, scale_high=1.2, completeness=COMPLETENESS)
    assert [item.desc for item in sample.record.objects] == ["type=device,seen=all", expected]
    assert source.objects[1].desc == desc
    without = crop(source, scale_low=1.2, scale_high=1.2)
    assert without.record.objects[1].desc == desc


@pytest.mark.parametrize(
    ("below", "expected"), [(0.5, "seen=all"), (0.75, "seen=all"), (0.76, "seen=part"), (1.0, "seen=part")]
)
def test_completeness_asks_for_the_share_that_is_seen(below: float, expected: str) -> None:
    """The window goes from 145 to 205, so of the box from 145 to 225 three quarters are seen."""
    source = record(("type=device", Box(150, 100, 200, 150)), ("seen=all", Box(145, 110, 225, 120)))
    rule = COMPLETENESS | {"below": below}
    cropped = crop(source, scale_low=1.2, scale_high=1.2, completeness=rule)
    assert cropped.record.objects[1].desc == expected


def test_a_second_crop_finds_anchors_too() -> None:
    source = record(("type=device", Box(150, 100, 200, 150)), ("type=psu", Box(160, 110, 170, 120)))
    once = crop(source, scale_low=4.0, scale_high=4.0)
    twice = RoiCrop(p=1, anchors={"type": ["psu"]}, min_size=8)(once, np.random.default_rng(0))
    assert twice.record.width < 25 < once.record.width
    assert {item.desc for item in twice.record.objects} == {"type=psu"}


def test_a_share_counts_from_the_whole_object_through_all_transforms() -> None:
    """Two moves that each leave 60 % of a box leave 36 % of it."""
    source = record(("type=device", Box(0, 100, 100, 200)))
    sample = Sample.of(source, min_coverage=0.4).moved(np.array([[1.0, 0, -40], [0, 1, 0], [0, 0, 1]]))
    assert area(sample.record.objects[0].shape) == 6000
    assert sample.moved(np.array([[1.0, 0, 0], [0, 1, -140], [0, 0, 1]])).record.objects == ()
    assert Translate(p=0)(sample, np.random.default_rng(0)).record.objects != ()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"anchors": {}}, "anchors must name a key and a list of values"),
        ({"anchors": {"type": "device"}}, "anchors must name a key and a list of values"),
        ({"anchors": {"type": []}}, "anchors must name a key and a list of values"),
        ({"scale_low": 3.0}, r"scale_low must be a number in \[1, 2\], got 3.0"),
        ({"min_size": 0}, "min_size must be"),
        ({"completeness": {"key": "seen"}}, "completeness needs the keys key, full, partial, below, got key"),
        ({"completeness": COMPLETENESS | {"below": 2}}, "completeness.below must be"),
        ({"completeness": COMPLETENESS | {"full": "a,b"}}, "completeness.full must be a text without commas"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RoiCrop(**({"anchors": ANCHORS} | parameters))
