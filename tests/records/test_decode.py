import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.records import Source, decode_line

HERE = Source("rows.jsonl", 5)
DUP = "duplicate_key"
GOOD = json.dumps({"images": ["图.jpg"], "objects": [{"desc": 'a "b" \\ {', "poly": [1, 2.5, 3]}]}, ensure_ascii=False)


def found(data):
    return [(finding.code, finding.field) for finding in decode_line(data, source=HERE)[1]]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  \r\n"])
def test_a_good_line_is_decoded_whatever_its_end(end):
    assert decode_line((GOOD + end).encode(), source=HERE) == (json.loads(GOOD), [])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", [("bad_json", "")]),
        (b"{", [("bad_json", "")]),
        (b"{'a': 1}", [("bad_json", "")]),
        (b'{"a": 1,}', [("bad_json", "")]),
        (b'{"a": 1} {"a": 2}', [("bad_json", "")]),
        (b'{"a": "x\ty"}', [("bad_json", "")]),  # a raw tab inside a string
        (b'{"a": "x\x00y"}', [("bad_json", "")]),
        (b'\xef\xbb\xbf{"a": 1}', [("bad_json", "")]),  # a byte order mark that is not at the start of the file
        (b'{"a": "\xff"}', [("bad_utf8", "")]),
        (b'{"a": "\xed\xa0\x80"}', [("bad_utf8", "")]),  # an encoded surrogate
        ('{"a": 1}'.encode("utf-16"), [("bad_utf8", "")]),
        (b"[" * 100_000, [("bad_json", "")]),
        (b'{"a": ' + b"1" * 5000 + b"}", [("bad_json", "")]),
        (b'{"a": NaN}', [("non_finite", "a")]),
        (b'{"o": [{"p": [1, Infinity, -Infinity]}]}', [("non_finite", "o[0].p[1]"), ("non_finite", "o[0].p[2]")]),
        (b'{"a": 1, "a": 2}', [(DUP, "a")]),
        (b'{"o": [{}, {"desc": 1, "desc": 1, "desc": 2}]}', [(DUP, "o[1].desc")]),
        (b'{"a": 1, "a": {"b": 1, "b": 2, "c": NaN}}', [(DUP, "a"), (DUP, "a.b"), ("non_finite", "a.c")]),
    ],
)  # fmt: skip
def test_what_json_forgives_is_found(data, expected):
    assert found(data) == expected


def test_the_position_and_a_cut_off_tail_are_named():
    [finding] = decode_line(GOOD[:40].encode(), source=HERE)[1]
    assert str(finding).startswith("rows.jsonl:5: not JSON at character ")
    assert "was the file cut off?" in finding.message
    [finding] = decode_line(b'{"a": x, "b": 1}', source=HERE)[1]
    assert finding.message == "not JSON at character 7: Expecting value"


def test_the_value_is_still_returned_to_be_checked_further():
    value, findings = decode_line(b'{"a": NaN, "b": 1, "b": 2}', source=HERE)
    assert math.isnan(value["a"])
    assert value["b"] == 2
    assert len(findings) == 2


def test_every_cut_of_a_line_is_found():
    data = GOOD.encode()
    assert all(found(data[:size]) in ([("bad_json", "")], [("bad_utf8", "")]) for size in range(len(data)))


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=40), st.text(alphabet='{}[]",:01-.eNa\\u \n', max_size=40).map(str.encode)))
def test_any_bytes_are_decoded_or_explained(data):
    value, findings = decode_line(data, source=HERE)
    try:
        strict = json.loads(data.decode(), parse_constant=int)
    except ValueError:
        strict = None
    assert findings or value == strict
