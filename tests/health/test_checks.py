"""A healthy sample passes; each single fault is found, under its own name."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.errors import HealthError
from qvl.geometry import to_grid
from qvl.health import (
    IGNORED,
    EncodedSample,
    GroundedObject,
    check_answer,
    check_grid,
    check_labels,
    check_pixels,
    check_placeholders,
    run_checks,
)

IMAGE, START, STOP, END = 90, 91, 92, 93
END_OF_TURN = "<|im_end|>\n"
ANSWER = '{"object_1": {"desc": "type=screw", "bbox_2d": [250, 500, 500, 1000]}}'
SCREW = GroundedObject(numbers=(250, 500, 500, 1000), pixels=(160, 240, 320, 480), width=640, height=480)


def sample(answer=(7, 8, 9, END), grids=((1, 4, 6), (1, 2, 2)), merge_size=2, **changes) -> EncodedSample:
    """Make a turn with a run of image tokens for each grid, a question and an answer."""
    prompt = [1, 2]
    for t, h, w in grids:
        prompt += [START, *[IMAGE] * (t * h * w // merge_size**2), STOP]
    prompt += [3, 4]
    healthy = EncodedSample(
        input_ids=[*prompt, *answer],
        labels=[*[IGNORED] * len(prompt), *answer],
        image_token_id=IMAGE,
        grids=grids,
        num_pixel_rows=sum(t * h * w for t, h, w in grids),
        merge_size=merge_size,
        num_images=len(grids),
    )
    return replace(healthy, **changes)


def codes(findings) -> list[str]:
    return [finding.code for finding in findings]


def with_labels(**changes: int) -> EncodedSample:
    """Change single labels of the healthy sample; `at_3=9` sets label 3, `at_m1=9` the last."""
    labels = sample().labels.copy()
    for position, label in changes.items():
        labels[int(position.removeprefix("at_").replace("m", "-"))] = label
    return sample(labels=labels)


CHECKS = {"placeholders": check_placeholders, "pixels": check_pixels, "labels": check_labels}
LENGTH = len(sample().input_ids)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("grids", [(), ((1, 2, 2),), ((1, 4, 6), (1, 2, 2)), ((1, 2, 2),) * 5])
def test_a_healthy_sample_has_no_findings(check, grids):
    assert check(sample(grids=grids)) == []


@pytest.mark.parametrize("merge_size", [1, 3])
def test_the_merge_size_counts_along_both_sides(merge_size):
    assert check_placeholders(sample(grids=((1, 6, 9), (2, 3, 3)), merge_size=merge_size)) == []


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (sample(num_images=3), ["num_grids"]),  # a picture was attached and lost
        (sample(num_images=1), ["num_grids"]),
        (sample(grids=((1, 4, 6),), num_images=2), ["num_grids"]),
        (replace(sample(), grids=((1, 4, 6),), num_images=1), ["num_runs"]),  # a placeholder without its grid
        (replace(sample(), grids=((1, 4, 6),)), ["num_grids", "num_runs"]),
        (sample(answer=(7, IMAGE, 9, END)), ["num_runs"]),  # a placeholder that came with the text
        (replace(sample(), grids=((1, 2, 2), (1, 4, 6))), ["run_length", "run_length"]),  # the right sum, swapped
        (replace(sample(), grids=((1, 4, 8), (1, 2, 2))), ["run_length"]),
        (replace(sample(), grids=((1, 5, 5), (1, 2, 2))), ["run_length"]),  # 25 patches do not merge to 6 tokens
        (replace(sample(), merge_size=1), ["run_length", "run_length"]),
    ],
)
def test_check_placeholders_finds(broken, expected):
    assert codes(check_placeholders(broken)) == expected


@pytest.mark.parametrize("rows", [27, 29, 0])
def test_check_pixels_finds_any_other_number_of_rows(rows):
    findings = check_pixels(sample(num_pixel_rows=rows))
    assert codes(findings) == ["pixel_rows"]
    assert findings[0].message == f"pixel_values has {rows} rows, image_grid_thw asks for 28"


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (replace(sample(), labels=[IGNORED] * 3), ["label_length"]),
        (replace(sample(), labels=[IGNORED] * LENGTH), ["nothing_supervised"]),
        (replace(sample(), labels=sample().input_ids), ["prompt_supervised", "image_supervised"]),  # no mask at all
        (sample(grids=(), labels=[1, 2, 3, 4, 7, 8, 9, END]), ["prompt_supervised"]),  # the same, no images
        (with_labels(at_0=1), ["prompt_supervised", "label_gap"]),
        (with_labels(at_3=IMAGE), ["prompt_supervised", "image_supervised", "label_gap"]),
        (sample(answer=(7, IMAGE, END)), ["prompt_supervised", "image_supervised"]),  # a placeholder in the answer
        (with_labels(at_m3=IGNORED), ["label_gap"]),
        (with_labels(at_m1=IGNORED), ["label_gap"]),  # the end of turn is not trained
        (with_labels(at_m2=5), ["label_value"]),  # shifted or swapped
    ],
)
def test_check_labels_finds(broken, expected):
    assert codes(check_labels(broken)) == expected


def test_findings_of_labels_say_where():
    (finding,) = check_labels(with_labels(at_m2=5))
    assert finding.message == f"1 supervised labels that differ from their token, the first at {LENGTH - 2}"


@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        (ANSWER + END_OF_TURN, []),
        (ANSWER, ["answer_end"]),
        (ANSWER + "<|im_end|>", ["answer_end"]),  # the newline is trained too
        (ANSWER[:-4], ["answer_end"]),  # cut off
        ("", ["answer_end"]),
        (ANSWER[:-4] + END_OF_TURN, ["answer_text"]),  # cut off, then closed
        ("assistant\n" + ANSWER + END_OF_TURN, ["answer_text"]),  # a part of the prompt is trained
        (ANSWER.replace("screw", "label") + END_OF_TURN, ["answer_text"]),
        (ANSWER + END_OF_TURN + END_OF_TURN, ["answer_text"]),
        (END_OF_TURN, ["answer_text"]),
    ],
)
def test_check_answer_finds(decoded, expected):
    assert codes(check_answer(decoded, ANSWER, END_OF_TURN)) == expected


def test_the_finding_of_an_answer_shows_both_texts_where_they_part():
    (finding,) = check_answer("type=screw,on" + END_OF_TURN, "type=screw,off", END_OF_TURN)
    assert (
        finding.message == "the supervised text differs from character 12: 'type=screw,on', expected 'type=screw,off'"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"numbers": (250, 500, 500)}, ["coordinate_count"]),
        ({"numbers": (250, 500, 500, 1001)}, ["coordinate_range"]),
        ({"numbers": (-1, 500, 500, 1000)}, ["coordinate_range"]),
        ({"numbers": (251, 500, 500, 1000)}, ["coordinate_value"]),
        ({"numbers": (250, 499, 500, 1000)}, ["coordinate_value"]),
        ({"numbers": (250.5, 500, 500, 1000)}, ["coordinate_value"]),  # not a grid number
        ({"numbers": (160, 240, 320, 480)}, ["coordinate_value"]),  # pixels in the text
        ({"numbers": (2000, 500, 501, 1000)}, ["coordinate_range", "coordinate_value"]),
        ({"width": 480, "height": 640}, ["coordinate_value"]),  # a picture turned by its EXIF mark
    ],
)
def test_check_grid_finds(changes, expected):
    assert codes(check_grid([replace(SCREW, **changes)], grid=1000)) == expected


@pytest.mark.parametrize(
    ("pixel", "number", "fine"),
    [
        (0.5, 0, True),  # 0.5 of a cell: the template rounds to even ...
        (0.5, 1, True),  # ... and we round up
        (1.5, 2, True),
        (1.5, 1, False),  # neither of the two
        (2.5, 2, True),
        (2.5, 3, True),
        (2.4, 3, False),  # not a half
        (1000.4, 1000, True),
        (1003, 1000, True),  # the template does not clamp, we do
        (-3, 0, True),
        (1003, 999, False),
    ],
)
def test_only_the_rounding_of_halves_and_clamping_may_differ(pixel, number, fine):
    row = GroundedObject(numbers=(number, 0), pixels=(pixel, 0), width=1000, height=1000)
    assert codes(check_grid([row], grid=1000)) == ([] if fine else ["coordinate_value"])


@given(
    st.lists(st.tuples(st.floats(-5, 4005), st.floats(-5, 3005)), min_size=2, max_size=5),
    st.integers(1, 4000),
    st.integers(1, 3000),
    st.sampled_from([100, 1000]),
)
def test_what_to_grid_writes_is_always_accepted(points, width, height, grid):
    pixels = [value for point in points for value in point]
    numbers = to_grid(pixels, width=width, height=height, grid=grid)
    assert check_grid([GroundedObject(numbers, pixels, width, height)], grid=grid) == []


@given(st.integers(0, 4000), st.integers(1, 4000), st.sampled_from([-1, 1]))
def test_one_cell_aside_is_never_accepted_but_at_a_half(pixel, width, step):
    (number, _) = to_grid([pixel, 0], width=width, height=1, grid=1000)
    row = GroundedObject((number + step, 0), (pixel, 0), width, 1)
    halfway = (2000 * pixel) % (2 * width) == width
    assert codes(check_grid([row], grid=1000)) != [] or halfway


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((160, 240.25, 320, 480), []),
        ((160, 240, 320, 480), ["coordinate_value"]),
        ((160, 240.25, 641, 480), ["coordinate_range"]),
        ((160, 481, 320, 480), ["coordinate_range"]),  # x may be 481, y may not
    ],
)
def test_without_a_grid_the_text_holds_the_pixels(numbers, expected):
    row = GroundedObject(numbers=numbers, pixels=(160, 240.25, 320, 480), width=640, height=480)
    assert codes(check_grid([row], grid=None)) == expected


def test_findings_of_the_grid_name_the_object():
    (finding,) = check_grid([SCREW, replace(SCREW, numbers=(250, 500, 501, 1000))], grid=1000)
    assert finding.message == "object 2: 501 for pixel 320, in 640x480 pixels and a range of 0..1000"


def run(broken=None, **changes) -> None:
    arguments = {
        "decoded": ANSWER + END_OF_TURN,
        "answer": ANSWER,
        "end": END_OF_TURN,
        "objects": [SCREW],
        "grid": 1000,
    }
    run_checks(broken or sample(), where="train.jsonl:7", **arguments | changes)


def test_a_healthy_sample_passes_all_checks():
    run()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"broken": sample(num_images=3)}, "num_grids"),
        ({"broken": sample(num_pixel_rows=3)}, "pixel_rows"),
        ({"broken": with_labels(at_m1=IGNORED)}, "label_gap"),
        ({"decoded": ANSWER}, "answer_end"),
        ({"grid": 100}, "coordinate_range"),
    ],
)
def test_each_check_alone_stops_a_run(changes, code):
    with pytest.raises(HealthError, match=rf"^train\.jsonl:7: .*\n  {code}: [^\n]+$"):
        run(**changes)


def test_the_error_lists_all_findings():
    with pytest.raises(HealthError) as error:
        run(sample(num_images=3, num_pixel_rows=3), decoded="")
    assert [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:]] == [
        "num_grids",
        "pixel_rows",
        "answer_end",
    ]


def test_a_long_sample_is_checked_in_a_millisecond():
    big = sample(answer=(*range(100, 4100), END), grids=((1, 64, 64), (1, 64, 64)))
    tokens, labels = big.input_ids.tolist(), big.labels.tolist()
    text = ANSWER * 100

    def seconds() -> float:
        begin = time.perf_counter()
        encoded = replace(big, input_ids=tokens, labels=labels)
        run(encoded, decoded=text + END_OF_TURN, answer=text, objects=[SCREW] * 60)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(20)) < 1e-3  # 6000 tokens, 60 objects
