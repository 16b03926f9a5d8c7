"""Overrides as they are typed, and which of them tell jobs apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.sweep.settings import (
    as_number,
    canonical,
    read_override,
    shared_folder,
    short_names,
    swept_keys,
    tell_settings,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", ("a", "1")),
        ("+recipe=stage2_lora", ("recipe", "stage2_lora")),
        ("++training.extra.x=1", ("training.extra.x", "1")),
        ("a='x y'", ("a", "x y")),
        ('a="x=y"', ("a", "x=y")),
        ("a=", ("a", "")),
        ("a='", ("a", "'")),
        ("a=[1,2]", ("a", "[1,2]")),
        ("~callbacks.progress", ("callbacks.progress", "(deleted)")),
        ("hydra.run.dir=x", None),
        ("hydra/launcher=torchrun", None),
        ("no override", None),
        ("=1", None),
        ("", None),
    ],
)
def test_an_override_has_a_key_and_a_value(text: str, expected: tuple[str, str] | None) -> None:
    assert read_override(text) == expected


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_override(text)
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize(
    ("one", "other"), [("1e-4", "0.0001"), ("1", "1.0"), ("-0.0", "0"), ("True", "true"), ("NULL", "null")]
)
def test_values_that_mean_the_same_are_one(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "true", "[1]", "", "12345678901234567890"])
def test_what_is_no_exact_number_is_a_word(text: str) -> None:
    assert as_number(text) is None


def test_swept_keys_differ_and_the_seed_is_last() -> None:
    jobs = [{"seed": "1", "lr": "1e-4", "tuner": "a"}, {"seed": "2", "lr": "0.0001", "tuner": "a", "x": "1"}]
    assert swept_keys(jobs) == ["x", "seed"]
    assert swept_keys(jobs[:1]) == []
    assert swept_keys([]) == []


def test_names_are_as_short_as_they_can_be() -> None:
    keys = ["transforms.rotate.p", "transforms.hflip.p", "training.lr", "p"]
    names = short_names(keys)
    assert list(names.values()) == ["rotate.p", "hflip.p", "lr", "p"]
    assert tell_settings({"training.lr": "1", "p": "2"}, keys) == "lr=1, p=2"


@given(st.lists(st.text("ab.", min_size=1, max_size=6), unique=True, max_size=5))
def test_short_names_tell_keys_apart(keys: list[str]) -> None:
    names = short_names(keys)
    assert len(set(names.values())) == len(keys)
    assert all(key.endswith(name) for key, name in names.items())


@pytest.mark.parametrize(
    ("values", "folder"),
    [
        (["/a/b/c", "/a/b/d"], "/a/b/"),
        (["/a/b/c", "/a/bc/d"], "/a/"),
        (["/a", "/b"], ""),
        (["a/b", "a/c"], "a/"),
        (["a/b"], ""),
        (["x", "y/z"], ""),
    ],
)
def test_paths_are_told_without_their_common_folder(values: list[str], folder: str) -> None:
    assert shared_folder(values) == folder
