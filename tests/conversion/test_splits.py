"""Groups stay whole, shares are reached, and a row's split depends on its group alone."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion.splits import SPLITS, SplitSettings, assign_splits, group_key
from qvl.errors import RecordError

KEYS = st.lists(st.text("abcdefgh图", min_size=1, max_size=2), min_size=30, max_size=200)


def pictures(count: int) -> list[str]:
    return [f"folder {number % 7}/图片{number}.jpg" for number in range(count)]


@pytest.mark.parametrize(
    ("by", "key"),
    [
        ("picture", "site 1/cam_2/0001.jpg"),
        ("folder", "site 1/cam_2"),
        ("source", "val"),
        (r"cam_(\d+)", "2"),
        (r"^([^/]+)/", "site 1"),
    ],
)
def test_the_key_of_a_group(by: str, key: str) -> None:
    assert group_key("site 1/cam_2/0001.jpg", by, said="val") == key


def test_a_picture_without_folder_has_the_folder_point() -> None:
    assert group_key("a.jpg", "folder") == "."


def test_a_path_in_which_the_expression_is_not_found_is_an_error_that_names_both() -> None:
    with pytest.raises(RecordError, match=r"a\.jpg.*cam_"):
        group_key("a.jpg", r"cam_(\d+)")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val": 0.5, "test": 0.5}, "together less than 1"),
        ({"val": -0.1}, "together less than 1"),
        ({"val": float("nan")}, "together less than 1"),
        ({"val": 0.1, "by": "source"}, "set split.val and split.test to 0"),
        ({"by": "foldr"}, "a group in brackets"),
        ({"by": "cam_(\\d+"}, "not a regular expression"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SplitSettings(**settings)  # type: ignore[arg-type]


def test_without_shares_everything_is_for_training() -> None:
    assert assign_splits(["a", "b"], SplitSettings()) == ["train", "train"]
    assert assign_splits([], SplitSettings(val=0.5)) == []


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.0), (0.1, 0.2), (0.25, 0.25), (0.001, 0.0)])
def test_single_pictures_meet_the_shares(val: float, test: float) -> None:
    counts = Counter(assign_splits(pictures(1000), SplitSettings(val=val, test=test)))
    assert (counts["val"], counts["test"]) == (1000 * val, 1000 * test)


@given(KEYS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_and_groups_stay_whole(keys: list[str], chance: random.Random) -> None:
    settings = SplitSettings(val=0.3, test=0.2)
    try:
        splits = dict(zip(keys, assign_splits(keys, settings), strict=True))
    except RecordError:
        return
    assert set(splits.values()) == set(SPLITS)
    shuffled = chance.sample(keys, len(keys))
    assert assign_splits(shuffled, settings) == [splits[key] for key in shuffled]
    assert [splits[key] for key in keys] == assign_splits(keys, settings)


def test_another_seed_chooses_other_groups() -> None:
    one, other = (assign_splits(pictures(500), SplitSettings(val=0.2, seed=seed)) for seed in (1, 2))
    assert one != other
    assert Counter(one) == Counter(other)


def test_a_bigger_share_keeps_what_a_smaller_one_chose() -> None:
    small, large = (assign_splits(pictures(500), SplitSettings(test=share)) for share in (0.1, 0.3))
    assert {n for n, split in enumerate(small) if split == "test"} < {
        n for n, split in enumerate(large) if split == "test"
    }


def test_a_group_that_is_far_too_large_is_passed_over() -> None:
    keys = ["large"] * 900 + [f"small {number}" for number in range(100)]
    for seed in range(20):
        splits = assign_splits(keys, SplitSettings(val=0.05, seed=seed))
        assert (splits[0], splits.count("val")) == ("train", 50)


@pytest.mark.parametrize(
    ("keys", "shares"),
    [
        (["a"] * 10, {"val": 0.1}),  # one group
        (["a"] * 10 + ["b"] * 10, {"val": 0.1}),  # each is half of all rows
        (["a", "b"], {"val": 0.4, "test": 0.4}),  # nothing would be left for training
    ],
)
def test_too_few_groups_are_an_error_with_the_numbers(keys: list[str], shares: dict[str, float]) -> None:
    with pytest.raises(RecordError, match=rf"{len(keys)} rows are {len(set(keys))} groups"):
        assign_splits(keys, SplitSettings(**shares))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "split"),
    [
        ("train", "train"),
        ("train2017", "train"),
        ("Validation", "val"),
        ("valid", "val"),
        ("val2017", "val"),
        ("dev", "val"),
        ("test-dev", "test"),
        ("Default", "train"),
        ("", "train"),
    ],
)
def test_the_splits_of_a_source_are_taken_as_it_names_them(said: str, split: str) -> None:
    assert assign_splits([said], SplitSettings(by="source")) == [split]


def test_a_split_that_is_not_known_is_an_error_that_names_it() -> None:
    with pytest.raises(RecordError, match=r"'holdout' \(2 rows\)"):
        assign_splits(["holdout", "train", "holdout"], SplitSettings(by="source"))
