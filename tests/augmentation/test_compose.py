"""Compose decides per sample, keeps every row, checks its parts, and follows the curriculum."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import numpy as np
import pytest

from qvl.augmentation import (
    ColorJitter,
    Compose,
    ExpandToFit,
    HorizontalFlip,
    ResizeByScale,
    RoiCrop,
    Rotate,
    Sample,
    Scale,
    Translate,
    VerticalFlip,
    render,
)
from qvl.build import build
from qvl.command import compose as load_config
from qvl.geometry import Box, Polygon, area
from qvl.records import ObjectRecord, Record, Source
from qvl.schema import register_schema

WIDTH, HEIGHT = 320, 240


def record(*descs: str) -> Record:
    boxes = [Box(10 + 60 * number, 40, 60 + 60 * number, 150) for number in range(5)]
    pairs = zip(descs or ("type=part", "type=screw"), boxes, strict=False)
    objects = tuple(ObjectRecord(desc, box) for desc, box in pairs)
    return Record(("a.png",), objects, WIDTH, HEIGHT, Source("rows.jsonl", 1))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def run(compose: Compose, seed: int = 0, progress: float = 0.0, source: Record | None = None) -> Sample:
    return compose(Sample.of(source or record()), generator(seed), progress=progress)


class Spy:
    """A transform that keeps the numbers it draws."""

    crops = False

    def __init__(self) -> None:
        self.drawn: list[float] = []

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        self.drawn.append(float(rng.random()))
        return sample


def test_without_transforms_everything_stays() -> None:
    source = record()
    result = run(Compose(transforms={}), source=source)
    assert result.record == source
    assert not result.changed


def test_p_is_the_share_of_samples_that_are_augmented() -> None:
    compose = Compose(transforms={"flip": HorizontalFlip(p=1)}, p=0.25)
    changed = [run(compose, seed).changed for seed in range(1000)]
    assert 0.2 < float(np.mean(changed)) < 0.3


def test_transforms_run_in_the_order_of_the_mapping() -> None:
    move, flip = Translate(p=1, max_share=0.2), HorizontalFlip(p=1)
    first = run(Compose(transforms={"move": move, "flip": flip})).view.matrix[0, 2]
    second = run(Compose(transforms={"other": flip, "move": move})).view.matrix[0, 2]
    assert first != second


def test_the_same_generator_gives_the_same_sample() -> None:
    compose = Compose(transforms={"rotate": Rotate(p=0.5), "scale": Scale(p=0.5), "color": ColorJitter(p=0.5)})
    image = generator().integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for seed in range(10):
        a, b = run(compose, seed), run(pickle.loads(pickle.dumps(compose)), seed)
        assert a.record == b.record
        assert np.array_equal(render(a, image), render(b, image))


def test_one_transform_does_not_disturb_what_another_draws() -> None:
    drawn = []
    for rotate in (Rotate(p=0), Rotate(p=1), Rotate(p=0.5, max_degrees=90), HorizontalFlip(p=1)):
        spies = Spy(), Spy()
        for seed in range(5):
            run(Compose(transforms={"first": spies[0], "rotate": rotate, "last": spies[1]}), seed)
        drawn.append((spies[0].drawn, spies[1].drawn))
    assert all(item == drawn[0] for item in drawn)
    assert drawn[0][0] != drawn[0][1]


def test_a_sample_whose_last_object_would_leave_stays_as_it_is() -> None:
    source = record("type=part")
    away = Compose(transforms={"move": Translate(p=1, max_share=0.9), "color": ColorJitter(p=1)})
    results = [run(away, seed, source=source) for seed in range(60)]
    kept = [result for result in results if not result.changed]
    assert 5 < len(kept) < 55
    assert all(result.record == source for result in kept)
    assert all(result.record.objects for result in results)


def test_a_record_without_objects_is_augmented_while_something_is_seen_of_it() -> None:
    empty = Record(("a.png",), (), WIDTH, HEIGHT, Source("rows.jsonl", 1))
    assert run(Compose(transforms={"rotate": Rotate(p=1)}), source=empty).changed


@pytest.mark.parametrize(("min_coverage", "count"), [(0.0, 3), (0.11, 2), (0.3, 1), (1.0, 1)])
def test_min_coverage_holds_for_every_geometric_transform(min_coverage: float, count: int) -> None:
    boxes = (Box(0, 0, 80, 240), Box(80, 100, 240, 140), Box(10, 0, 70, 120))
    objects = tuple(ObjectRecord(f"box {number}", box) for number, box in enumerate(boxes))
    source = Record(("a.png",), objects, WIDTH, HEIGHT, Source("rows.jsonl", 1))
    zoom = Compose(transforms={"zoom": Scale(p=1, low=1.6, high=1.6)}, min_coverage=min_coverage)
    assert [seen.coverage for seen in run(zoom, source=source).seen] == pytest.approx([0.15625, 1, 0.104167], abs=1e-6)
    assert len(run(zoom, source=source).record.objects) == count


def test_expand_to_fit_keeps_what_the_transforms_before_it_pushed_over_the_edge() -> None:
    moves = {"move": Translate(p=1, max_share=0.4), "rotate": Rotate(p=1, max_degrees=45)}
    source = record("a", "b", "c", "d", "e")
    counts = [len(run(Compose(transforms=moves), seed, source=source).record.objects) for seed in range(10)]
    assert min(counts) < 5
    fitted = Compose(transforms=moves | {"fit": ExpandToFit()})
    assert [len(run(fitted, seed, source=source).record.objects) for seed in range(10)] == [5] * 10
    never = Compose(transforms=moves | {"fit": ExpandToFit(p=0)})
    results = [run(never, seed, source=source) for seed in range(10)]
    assert min(len(result.record.objects) for result in results) < 5
    assert all((result.record.width, result.record.height) == (WIDTH, HEIGHT) for result in results)
    assert not any(result.view.deferred for result in results)


def test_expand_to_fit_does_not_bring_back_what_a_crop_cut_away() -> None:
    crop = RoiCrop(p=1, anchors={"type": ["part"]}, min_size=8, scale_low=1.2, scale_high=1.2)
    compose = Compose(transforms={"crop": crop, "rotate": Rotate(p=1, max_degrees=30), "fit": ExpandToFit(multiple=1)})
    for seed in range(5):
        cropped = run(compose, seed)
        assert [item.desc for item in cropped.record.objects] == ["type=part"]
        assert area(Polygon(cropped.view.region)) == pytest.approx(60 * 132)


def test_a_geometric_transform_after_expand_to_fit_is_refused() -> None:
    message = (
        r"transforms: shrink \(ResizeByScale\) stands after fit, an ExpandToFit, which has to be the last geometric "
        "transform; write shrink before fit"
    )
    with pytest.raises(ValueError, match=message):
        Compose(transforms={"fit": ExpandToFit(), "shrink": ResizeByScale()})
    Compose(transforms={"shrink": ResizeByScale(), "fit": ExpandToFit(), "color": ColorJitter()})


@pytest.mark.parametrize("parameters", [{"p": 1.2}, {"p": None}, {"min_coverage": -0.1}])
def test_numbers_out_of_range_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} must be a number in"):
        Compose(transforms={}, **parameters)


def test_transforms_that_may_hide_objects_are_refused_for_summaries() -> None:
    safe = {"flip": HorizontalFlip(), "resize": ResizeByScale(), "color": ColorJitter(), "fit": ExpandToFit()}
    Compose(transforms=safe).check_task("summary")
    unsafe = Compose(transforms={"crop": RoiCrop(anchors={"type": ["part"]}), "turn": Rotate()} | safe)
    unsafe.check_task("dense")
    with pytest.raises(ValueError, match=r"transforms crop, turn: may take objects out of sight .* delete them"):
        unsafe.check_task("summary")
    with pytest.raises(ValueError, match="mode must be dense or summary, got 'summery'"):
        unsafe.check_task("summery")


def test_refusals_are_known_before_training() -> None:
    compose = Compose(transforms={"h": HorizontalFlip(), "v": VerticalFlip(), "rotate": Rotate(), "c": ColorJitter()})
    assert compose.refused(record("type=part")) == ()
    assert compose.refused(record("the left screw")) == ("h",)
    assert compose.refused(record("the left screw", "the upper one")) == ("h", "v")


CURRICULUM = [
    {"until": 0.5, "values": {"p": 1.0, "rotate.max_degrees": 40, "crop.min_size": 101}},
    {"until": 1.0, "values": {"color.brightness": [0.5, 1.5]}},
]


def with_curriculum(curriculum: list[Mapping[str, object]]) -> Compose:
    crop = RoiCrop(p=1, anchors={"type": ["part"]}, min_size=80, scale_high=1.2)
    transforms = {"crop": crop, "rotate": Rotate(p=1, max_degrees=0), "color": ColorJitter(brightness=[1, 1])}
    return Compose(transforms=transforms, p=0.0, curriculum=curriculum)


def test_parameters_follow_the_curriculum() -> None:
    compose = with_curriculum(CURRICULUM)
    assert not any(run(compose, seed).changed for seed in range(50))
    changed = [run(compose, seed, 0.25).changed for seed in range(400)]
    assert 0.4 < float(np.mean(changed)) < 0.6
    for progress, degrees, size in ((0.1, 8, 84), (0.5, 40, 101), (1.0, 40, 101)):
        results = [run(compose, seed, progress) for seed in range(200)]
        matrices = np.stack([result.view.matrix for result in results if result.changed])
        angles = np.abs(np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])))
        assert 0.8 * degrees < angles.max() <= degrees
        assert {result.record.width for result in results if result.changed} == {size}


def test_the_curriculum_changes_values_and_not_the_order_of_the_draws() -> None:
    compose = with_curriculum([{"until": 1.0, "values": {"p": 1.0, "rotate.p": 0.0}}])
    for seed in range(20):
        early, late = run(compose, seed, 0.9), run(compose, seed, 1.0)
        if early.changed:
            assert early.pixel_ops[0].keywords == late.pixel_ops[0].keywords


def test_compose_itself_is_not_changed_by_the_progress() -> None:
    compose = with_curriculum(CURRICULUM)
    before = copy.deepcopy(compose.transforms)
    run(compose, 0, 0.7)
    assert compose.transforms == before
    assert compose.p == 0.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rotate.max_degree": 5}, "there is no parameter rotate.max_degree; did you mean rotate.max_degrees"),
        ({"rotat.max_degrees": 5}, "did you mean rotate.max_degrees"),
        ({"rotate.max_degrees": 500}, r"curriculum, at 0.4: max_degrees must be a number in \[0, 180\], got 500"),
        ({"p": 1.5}, r"curriculum, at 0.4: p must be a number in \[0, 1\], got 1.5"),
        ({"rotate": 5}, "there is no parameter rotate; did you mean rotate.p"),
        ({"crop.anchors": 5}, "there is no parameter crop.anchors"),
        ({"color.brightness": [1.5, 0.5]}, "curriculum, at 0.4: brightness must be a range"),
        ({"color.brightness": 2}, "color.brightness must be 2 numbers, got 2"),
    ],
)
def test_a_curriculum_fails_when_it_is_built(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_curriculum([{"until": 0.4, "values": values}])


@pytest.mark.parametrize("name", ["geometric", "full"])
def test_the_shipped_configurations_augment(name: str) -> None:
    register_schema()
    compose = build(load_config([f"augmentation={name}", "augment_prob=1"]).augmentation)
    ring = ObjectRecord("type=device", Polygon(np.array([[100, 100], [160, 90], [150, 160]])))
    source = Record(("a.png",), (*record().objects, ring), WIDTH, HEIGHT, Source("rows.jsonl", 1))
    image = generator().integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    results = [run(compose, seed, seed / 30, source=source) for seed in range(30)]
    assert len({result.view.matrix.tobytes() for result in results}) > 15
    for result in results:
        assert result.record.objects
        assert render(result, image).shape == (result.record.height, result.record.width, 3)


@pytest.mark.parametrize(
    ("compose", "idle"),
    [
        (Compose(transforms={}), True),
        (Compose(transforms={"flip": HorizontalFlip()}, p=0.0), True),
        (Compose(transforms={"flip": HorizontalFlip()}), False),
        (
            Compose(transforms={"flip": HorizontalFlip()}, p=0.0, curriculum=[{"until": 1.0, "values": {"p": 1.0}}]),
            False,
        ),
    ],
)
def test_it_is_idle_if_no_sample_is_ever_changed(compose, idle):
    assert compose.idle == idle
