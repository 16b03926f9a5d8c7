import pytest

from qvl.records import Finding, Source, shorten


def test_a_finding_prints_file_line_and_field():
    finding = Finding("empty_desc", Source("rows.jsonl", 7), "objects[2].desc", "expected a description")
    assert str(finding) == "rows.jsonl:7: objects[2].desc: expected a description [empty_desc]"


def test_a_finding_on_the_whole_row_has_no_field():
    assert str(Finding("bad_json", Source("a/b.jsonl", 1), "", "not JSON")) == "a/b.jsonl:1: not JSON [bad_json]"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("螺丝", "'螺丝'"),
        ("x" * 100, f"'{'x' * 60}'... (100 characters)"),
        ("a\n\ud800", r"'a\n\ud800'"),  # can be printed on any terminal
        (10**4000, "an integer of 13288 bits"),
        (12, "12"),
        (None, "None"),
        (True, "True"),
        ([[[]]], "list"),
    ],
)
def test_values_in_messages_are_short_and_printable(value, expected):
    assert shorten(value) == expected
