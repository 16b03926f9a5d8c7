import pytest

from qvl.conversation import TextObject
from qvl.geometry import Box, shape_from_flat


@pytest.mark.parametrize(
    ("key", "numbers", "message"),
    [
        ("bbox", (1, 2, 3, 4), "bbox_2d, poly, line, got 'bbox'"),
        ("quad", (0, 0, 9, 0, 9, 9, 0, 9), "bbox_2d, poly, line, got 'quad'"),
        ("bbox_2d", (1, 2, 3), "takes 4 numbers, got 3"),
        ("poly", (1, 2, 3, 4), "even count of numbers >= 6, got 4"),
        ("poly", (1, 2, 3, 4, 5, 6, 7), "got 7"),
        ("line", (1, 2), "even count of numbers >= 4, got 2"),
        ("line", (1, 2, 3, float("nan")), "finite"),
        ("line", (1, 2, 3, float("inf")), "finite"),
        ("line", (1, 2, 3, 10**400), "at most"),
    ],
)
def test_an_object_has_a_known_key_and_numbers_that_fit_it(key, numbers, message):
    with pytest.raises(ValueError, match=message):
        TextObject("x", key, numbers)


def test_the_numbers_become_a_shape():
    assert TextObject("x", "bbox_2d", (1, 2, 3, 4)).shape() == Box(1, 2, 3, 4)
    line = TextObject("x", "line", (1, 2, 3, 4))
    assert line.shape() == shape_from_flat("line", [1, 2, 3, 4])


@pytest.mark.parametrize("numbers", [(5, 5, 5, 9), (9, 9, 5, 5)])
def test_a_box_without_area_can_be_written_but_is_no_shape(numbers):
    item = TextObject("x", "bbox_2d", numbers)
    with pytest.raises(ValueError, match="x1 < x2"):
        item.shape()
