"""Answers as hypothesis draws them."""

from __future__ import annotations

from hypothesis import strategies as st

from qvl.conversation import TextObject, parse_answer

LABEL = "图片"

descs = st.one_of(st.text(max_size=8), st.sampled_from(["", "a, b: c", "{}", '"object_2": {"desc"', "it's", "图片_2"]))
numbers = st.one_of(st.integers(0, 1000), st.floats(0, 5000))


def drawn_objects(descs=descs, numbers=numbers):
    """Return a strategy for objects of all kinds."""

    def points(fewest):
        return st.integers(fewest, 5).flatmap(lambda count: st.tuples(*[numbers] * 2 * count))

    return st.one_of(
        st.builds(TextObject, descs, st.just("bbox_2d"), st.tuples(*[numbers] * 4)),
        st.builds(TextObject, descs, st.just("poly"), points(3)),
        st.builds(TextObject, descs, st.just("line"), points(2)),
    )


def drawn_answers(descs=descs, numbers=numbers):
    """Return a strategy for the objects of one to three pictures."""
    objects = drawn_objects(descs, numbers)
    return st.lists(st.lists(objects, max_size=4).map(tuple), min_size=1, max_size=3).map(tuple)


def parse(text, label=LABEL):
    return parse_answer(text, image_label=label)
