"""Single values of annotation files."""

from __future__ import annotations

import math

import pytest

from qvl.conversion.formats.fields import is_set, number, pixel_count, split_name


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), (" 4.5 ", 4.5), ("1e2", 100.0), (float("inf"), math.inf)])
def test_numbers_and_texts_of_numbers_are_numbers(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize("value", [None, True, "", "12px", "1,5", [1], {}, 10**400])
def test_anything_else_is_no_number(value):
    assert number(value) is None


@pytest.mark.parametrize(("value", "expected"), [(640, 640), ("640", 640), (640.0, 640), (0, None), (-1, None)])
def test_a_size_is_a_whole_number_from_1_on(value, expected):
    assert pixel_count(value) == expected


@pytest.mark.parametrize("value", [None, 1.5, "nan", "inf", True])
def test_anything_else_is_no_size(value):
    assert pixel_count(value) is None


def test_names_of_splits_and_flags_are_read_in_any_case():
    assert [split_name(name) for name in (" Train", "Validation", "valid", "TEST", "default")] == [
        "train",
        "val",
        "val",
        "test",
        None,
    ]
    assert [is_set(value) for value in ("1", " True", "yes", "0", "", None)] == [True, True, True, False, False, False]
