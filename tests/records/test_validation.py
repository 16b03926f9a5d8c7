import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.errors import RecordError
from qvl.geometry import KEYS, Box, Polygon, Polyline, canonical
from qvl.records import SPECIAL_TOKENS, Source, parse_row, validate_row

HERE = Source("rows.jsonl", 3)
NAN, INF = float("nan"), float("inf")


def row(**changes):
    base = {"images": ["a.jpg"], "objects": [item()], "width": 100, "height": 50}
    return {key: value for key, value in (base | changes).items() if value is not ...}


def item(**changes):
    base = {"desc": "type=screw", "bbox_2d": [1, 2, 30, 40]}
    return {key: value for key, value in (base | changes).items() if value is not ...}


def shape(key, numbers):
    return row(objects=[{"desc": "x", key: numbers}])


def found(value):
    return [(finding.code, finding.field) for finding in validate_row(value, source=HERE)]


@pytest.mark.parametrize(
    "value",
    [
        row(),
        row(objects=[item(bbox_2d=..., poly=[0, 0, 100, 0, 100, 50])]),
        row(objects=[item(bbox_2d=..., poly=[0, 0, 9, 9, 9, 0, 0, 9])]),  # crosses itself, see geometry.measures
        row(objects=[item(bbox_2d=..., poly=[0, 0, 0, 0, 9, 0, 9, 9, 9, 9, 0, 0])]),  # vertices twice, and closed
        row(objects=[item(bbox_2d=..., line=[0, 0, 100, 50])]),
        row(objects=[item(bbox_2d=..., line=[0, 0, 9, 9, 0, 0])]),  # closed, but not a point
        row(objects=[item(bbox_2d=[0, 0, 100 + 1e-7, 50])]),  # what float arithmetic leaves behind
        row(objects=[item(desc=' 类别=标签,文本="a\\b" ', annotator="human")]),
        row(summary="two screws", metadata={"license": "CC0", "nested": [{"a": None}]}, extra=1),
        row(summary=None, metadata=None),
        row(images=["../b.jpg"]),  # the roots are checked where the disk is known
    ],
)
def test_good_rows_have_no_findings(value):
    assert found(value) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # the row
        ([], [("not_an_object", "")]),
        ("text", [("not_an_object", "")]),
        (None, [("not_an_object", "")]),
        (3, [("not_an_object", "")]),
        ({}, [("missing_images", "images"), ("bad_size", "width"), ("bad_size", "height"), ("no_objects", "objects")]),
        # the image
        (row(images=...), [("missing_images", "images")]),
        (row(images=[]), [("missing_images", "images")]),
        (row(images=None), [("missing_images", "images")]),
        (row(images="a.jpg"), [("missing_images", "images")]),
        (row(images={"0": "a.jpg"}), [("missing_images", "images")]),
        (row(images=[3]), [("image_not_str", "images[0]")]),
        (row(images=[None]), [("image_not_str", "images[0]")]),
        (row(images=[" "]), [("image_not_str", "images[0]")]),
        (row(images=[{"bytes": "x"}]), [("image_not_str", "images[0]")]),
        (row(images=["a.jpg", "b.jpg"]), [("many_images", "images")]),
        (row(images=["a.jpg", 4]), [("many_images", "images"), ("image_not_str", "images[1]")]),
        (row(images=["http://x/a.jpg"]), [("image_url", "images[0]")]),
        (row(images=["HTTPS://x/a.jpg"]), [("image_url", "images[0]")]),
        (row(images=[" file:///etc/passwd"]), [("image_url", "images[0]")]),
        (row(images=["data:image/png;base64,AAAA"]), [("image_url", "images[0]")]),
        (row(images=["a\0.jpg"]), [("bad_path", "images[0]")]),
        (row(images=["\ud800.jpg"]), [("bad_path", "images[0]")]),
        # the size
        (row(width=...), [("bad_size", "width")]),
        (row(width=0), [("bad_size", "width")]),
        (row(height=-5), [("bad_size", "height")]),
        (row(height=50.0), [("bad_size", "height")]),
        (row(height="50"), [("bad_size", "height")]),
        (row(width=True), [("bad_size", "width")]),
        (row(width=None), [("bad_size", "width")]),
        (row(width=NAN), [("bad_size", "width")]),
        (row(width=10**400), [("bad_size", "width")]),
        # the objects
        (row(objects=...), [("no_objects", "objects")]),
        (row(objects=[]), [("no_objects", "objects")]),
        (row(objects=None), [("no_objects", "objects")]),
        (row(objects={"object_1": item()}), [("no_objects", "objects")]),
        (row(objects=["x"]), [("not_an_object", "objects[0]")]),
        (row(objects=[item(), [1, 2]]), [("not_an_object", "objects[1]")]),
        # the description
        (row(objects=[item(desc=...)]), [("empty_desc", "objects[0].desc")]),
        (row(objects=[item(desc="")]), [("empty_desc", "objects[0].desc")]),
        (row(objects=[item(desc=" \u3000")]), [("empty_desc", "objects[0].desc")]),
        (row(objects=[item(desc=["x"])]), [("empty_desc", "objects[0].desc")]),
        (row(objects=[item(desc=3)]), [("empty_desc", "objects[0].desc")]),
        (row(objects=[item(desc="a\nb")]), [("desc_whitespace", "objects[0].desc")]),
        (row(objects=[item(desc="a\tb")]), [("desc_whitespace", "objects[0].desc")]),
        (row(objects=[item(desc="a\r\n")]), [("desc_whitespace", "objects[0].desc")]),
        (row(objects=[item(desc="a\0b")]), [("desc_whitespace", "objects[0].desc")]),
        (row(objects=[item(desc="a\ud800")]), [("lone_surrogate", "objects[0].desc")]),
        # which geometry
        (row(objects=[item(bbox_2d=...)]), [("geometry_count", "objects[0]")]),
        (row(objects=[item(bbox_2d=..., bbox=[1, 2, 3, 4])]), [("geometry_count", "objects[0]")]),
        (row(objects=[item(line=[0, 0, 1, 1])]), [("geometry_count", "objects[0]")]),
        (row(objects=[item(poly=None)]), [("geometry_count", "objects[0]"), ("not_a_number", "objects[0].poly")]),
        (row(objects=[item(quad=[0, 0, 9, 0, 9, 9, 0, 9])]), [("geometry_count", "objects[0]")]),
        (shape("quad", [0, 0, 9, 0, 9, 9, 0, 9]), [("quad_legacy", "objects[0].quad")]),
        (shape("quad", [0, 0, 9, 0]), [("quad_legacy", "objects[0].quad"), ("bad_length", "objects[0].quad")]),
        # its numbers
        (shape("bbox_2d", [1, 2, 3]), [("bad_length", "objects[0].bbox_2d")]),
        (shape("bbox_2d", [1, 2, 3, 4, 5, 6]), [("bad_length", "objects[0].bbox_2d")]),
        (shape("bbox_2d", []), [("bad_length", "objects[0].bbox_2d")]),
        (shape("poly", [0, 0, 9, 9]), [("bad_length", "objects[0].poly")]),
        (shape("poly", [0, 0, 9, 0, 9, 9, 1]), [("odd_length", "objects[0].poly")]),
        (shape("line", [0, 0]), [("bad_length", "objects[0].line")]),
        (shape("line", [0, 0, 1, 1, 2]), [("odd_length", "objects[0].line")]),
        (shape("line", "0 0 1 1"), [("not_a_number", "objects[0].line")]),
        (shape("poly", [[0, 0], [9, 0], [9, 9]]), [("not_a_number", "objects[0].poly")]),
        (shape("bbox_2d", [0, "0", 1, 1]), [("not_a_number", "objects[0].bbox_2d[1]")]),
        (shape("bbox_2d", [0, 0, 1, True]), [("not_a_number", "objects[0].bbox_2d[3]")]),
        (shape("bbox_2d", [0, 0, 1, None]), [("not_a_number", "objects[0].bbox_2d[3]")]),
        (shape("line", [NAN, 0, INF, 1]), [("non_finite", "objects[0].line[0]"), ("non_finite", "objects[0].line[2]")]),
        (shape("bbox_2d", [5, 5, 1, 9]), [("bbox_unordered", "objects[0].bbox_2d")]),
        (shape("bbox_2d", [1, 5, 9, 5]), [("bbox_unordered", "objects[0].bbox_2d")]),
        (shape("bbox_2d", [0, 0, 100.01, 50]), [("out_of_bounds", "objects[0].bbox_2d[2]")]),
        (shape("line", [-1, 0, 5, 50.1]), [("out_of_bounds", f"objects[0].line[{index}]") for index in (0, 3)]),
        (shape("line", [0, 0, 5, 10**400]), [("out_of_bounds", "objects[0].line[3]")]),
        (shape("line", [5, 5, 5, 5, 5, 5]), [("degenerate", "objects[0].line")]),
        (shape("poly", [0, 0, 9, 0, 0, 0]), [("degenerate", "objects[0].poly")]),  # two points and the closing one
        (shape("poly", [0, 0, 9, 9, 4, 4, 2, 2]), [("degenerate", "objects[0].poly")]),
        (shape("poly", [7, 7] * 5), [("degenerate", "objects[0].poly")]),
        (shape("poly", [0, 0, 9, 0, 9, 9, 9, 0]), [("degenerate", "objects[0].poly")]),  # to and fro around a corner
        (shape("poly", [0.1, 0.3, 0.2, 0.6, 0.3, 0.9]), [("degenerate", "objects[0].poly")]),  # but for rounding
        # the rest
        (row(summary=3), [("bad_summary", "summary")]),
        (row(summary=" "), [("bad_summary", "summary")]),
        (row(summary="a\nb"), [("bad_summary", "summary")]),
        (row(summary="\udfff"), [("lone_surrogate", "summary")]),
        (row(metadata=[1]), [("bad_metadata", "metadata")]),
        (row(metadata={"a": ["\ud800"]}), [("lone_surrogate", "metadata.a[0]")]),
    ],
)  # fmt: skip
def test_bad_rows_name_code_and_field(value, expected):
    assert found(value) == expected


@pytest.mark.parametrize("token", [*SPECIAL_TOKENS, "<|made_up|>"])
def test_special_tokens_are_refused_in_every_text(token):
    text = f"a {token} b"
    value = row(objects=[item(desc=text)], summary=text, metadata={"note": [text], text: 1})
    fields = ["objects[0].desc", "summary", "metadata", "metadata.note[0]"]
    assert found(value) == [("special_token", field) for field in fields]
    assert token in str(validate_row(value, source=HERE)[0])


def test_all_findings_of_a_row_are_reported():
    value = row(
        images=["http://x", 1],
        width="w",
        objects=[item(desc="\n<image>"), item(poly=[0, 0, NAN, "x", True]), item(bbox_2d=[9, 9, 1, 1]), 7],
        summary=[],
    )
    once = ["many_images", "image_url", "image_not_str", "bad_size", "desc_whitespace", "special_token", "bad_summary"]
    once += ["geometry_count", "odd_length", "non_finite", "bbox_unordered", "not_an_object"]
    assert Counter(code for code, _ in found(value)) == Counter(once) + Counter({"not_a_number": 2})


def test_only_quad_is_not_fatal():
    [finding] = validate_row(shape("quad", [0, 0, 9, 0, 9, 9, 0, 9]), source=HERE)
    assert (finding.code, finding.fatal) == ("quad_legacy", False)
    assert all(finding.fatal for finding in validate_row({}, source=HERE))


def test_parse_row_lists_all_findings_with_file_and_line():
    with pytest.raises(RecordError) as error:
        parse_row(row(width=0, objects=[item(desc="")]), source=HERE, root="/data")
    assert str(error.value).splitlines() == [
        "rows.jsonl:3: width: expected a whole number of pixels in 1..1000000, got 0 [bad_size]",
        "rows.jsonl:3: objects[0].desc: expected a description that is not blank, got '' [empty_desc]",
    ]


def test_parse_row_gives_shapes_texts_and_absolute_paths():
    value = row(
        images=["pictures/../a.jpg"],
        objects=[
            item(desc=" cafe\u0301 "),
            {"desc": "p", "poly": [0, 0, 0, 9, 9, 9.5]},
            {"desc": "l", "line": [9, 9, 0, 0]},
            {"desc": "q", "quad": [0, 0, 9, 0, 9, 9, 0, 9]},
        ],
        summary=" all ",
        metadata={"k": 1},
    )
    record = parse_row(value, source=HERE, root="/data/set")
    assert record.images == ("/data/set/a.jpg",)
    assert (record.width, record.height, record.summary, record.metadata) == (100, 50, "all", {"k": 1})
    assert [one.desc for one in record.objects] == ["caf\u00e9", "p", "l", "q"]  # composed as the tokenizer does
    assert [type(one.shape) for one in record.objects] == [Box, Polygon, Polyline, Polygon]
    assert record.objects[1].shape.flat() == (0, 0, 0, 9, 9, 9.5)  # not yet canonical
    assert str(record.source) == "rows.jsonl:3"


def test_an_absolute_image_path_stays_as_it_is():
    assert parse_row(row(images=["/pictures/a.jpg"]), source=HERE, root="/data").images == ("/pictures/a.jpg",)


numbers = st.one_of(
    st.integers(-3, 60), st.floats(-1, 60), st.floats(), st.integers(), st.booleans(), st.none(), st.text(max_size=2)
)
texts = st.one_of(st.text(max_size=8), st.sampled_from(["type=a", "<image>", "a\n", "\ud800"]), st.none())
anything = st.one_of(
    st.none(),
    *(st.booleans(), st.integers(), st.floats(), texts),
    st.lists(numbers, max_size=5),
    st.dictionaries(texts.filter(bool), numbers, max_size=3),
)
items = st.fixed_dictionaries(
    {}, optional={"desc": texts} | {key: st.lists(numbers, max_size=9) for key in [*KEYS, "quad"]}
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "images": st.one_of(st.lists(texts, max_size=2), anything),
        "width": numbers,
        "height": numbers,
        "objects": st.one_of(st.lists(st.one_of(items, anything), max_size=3), anything),
        "summary": anything,
        "metadata": anything,
    },
)


@settings(max_examples=300)
@given(st.one_of(rows, anything))
def test_any_row_is_either_a_record_or_a_list_of_findings(value):
    fatal = [finding for finding in validate_row(value, source=HERE) if finding.fatal]
    assert all(str(finding).encode() and "\n" not in str(finding) for finding in fatal)
    if fatal:
        with pytest.raises(RecordError):
            parse_row(value, source=HERE, root="/data")
    else:
        parse_row(value, source=HERE, root="/data")


good_numbers = st.one_of(st.integers(0, 50), st.floats(0, 50))
good_items = st.one_of(
    st.lists(good_numbers, min_size=4, max_size=4).map(lambda values: {"desc": "b", "bbox_2d": values}),
    st.lists(good_numbers, min_size=3, max_size=5).map(lambda values: {"desc": "p", "poly": values + values[::-1]}),
    st.lists(good_numbers, min_size=2, max_size=5).map(lambda values: {"desc": "l", "line": values + values}),
)


@settings(max_examples=300)
@given(good_items)
def test_a_shape_that_passes_has_a_canonical_form(one):
    value = row(objects=[one])
    if not found(value):
        record = parse_row(json.loads(json.dumps(value)), source=HERE, root="/data")
        assert canonical(record.objects[0].shape).key in KEYS
