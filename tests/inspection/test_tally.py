from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qvl.inspection.shared import repeated_pictures
from qvl.inspection.tally import Numbers, Words

parts = st.lists(st.lists(st.integers(-50, 50), max_size=20), min_size=1, max_size=5)


@given(parts)
def test_numbers_taken_in_parts_are_those_of_the_whole(lists):
    whole, merged = Numbers(), Numbers()
    whole.update(value for values in lists for value in values)
    for values in lists:
        part = Numbers()
        part.update(values)
        merged.merge(part)
    assert merged.as_json() == whole.as_json()


@given(st.lists(st.integers(-50, 50), min_size=1), st.floats(0, 1))
def test_a_quantile_is_the_least_number_with_enough_below_it(values, share):
    numbers = Numbers()
    numbers.update(values)
    found = numbers.quantile(share)
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(share * len(values), 1e-9)
    assert numbers.above(found) == sum(value > found for value in values)


def test_of_very_many_texts_the_rare_ones_are_forgotten_and_that_is_told():
    words = Words(most=2)
    words.update(["a"] * 3 + ["b"] * 2 + ["c", "d"])
    assert words.forgotten == 0
    words.update(["e"])
    assert (dict(words.counts), words.forgotten) == ({"a": 3, "b": 2}, 3)
    assert words.as_json() == {"different": 2, "forgotten": 3, "top": {"a": 3, "b": 2}}


@given(st.lists(st.lists(st.integers(0, 4), max_size=6), max_size=4))
def test_every_picture_that_was_there_before_is_found_with_its_first_place(files):
    import numpy as np

    seen: dict[int, tuple[int, int]] = {}
    expected = []
    for file, pictures in enumerate(files):
        for row, picture in enumerate(pictures):
            if picture and picture in seen:
                expected.append(((file, row), seen[picture]))
            seen.setdefault(picture, (file, row))
    found = list(repeated_pictures([np.array(pictures, dtype=np.uint64) for pictures in files]))
    assert found == expected
