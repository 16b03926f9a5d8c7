"""Shapes are drawn where their coordinates say, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qvl.geometry import Box, Polygon, Polyline, Shape
from qvl.visualization import Mark, can_draw, draw_marks, readable_on

RED = (255, 0, 0)
GREY = (120, 120, 120)


def picture(width: int = 200, height: int = 100) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def drawn(*shapes: Shape, extent: tuple[float, float] = (200, 100), size: tuple[int, int] = (200, 100)) -> np.ndarray:
    marks = [Mark(shape, "#ff0000", "1") for shape in shapes]
    return np.asarray(draw_marks(picture(*size), marks, extent=extent, line_width=3, font_size=8))


def is_red(pixels: np.ndarray) -> np.ndarray:
    return (pixels == RED).all(axis=-1)


@pytest.mark.parametrize(
    ("shape", "inside", "outside"),
    [
        # (x, y) pixels that the line runs through, and others that it does not touch
        (
            Box(40, 30, 160, 80),
            [(40, 60), (160, 60), (100, 30), (100, 80)],
            [(100, 55), (30, 55), (170, 55), (100, 90)],
        ),
        (
            Polygon(np.array([[50, 20], [150, 20], [150, 90], [50, 90]])),
            [(50, 50), (150, 50), (100, 20), (100, 90), (150, 90)],
            [(100, 50)],
        ),
        (Polyline(np.array([[20, 50], [100, 50], [100, 95]])), [(60, 50), (100, 70)], [(60, 72), (60, 95)]),
    ],
)
def test_the_line_runs_where_the_coordinates_say(
    shape: Shape, inside: list[tuple[int, int]], outside: list[tuple[int, int]]
) -> None:
    pixels = drawn(shape)
    for x, y in inside:
        # an edge at x lies between the pixels x - 1 and x: both are covered
        assert is_red(pixels)[y - 1 : y + 1, x - 1 : x + 1].all(), (x, y)
    for x, y in outside:
        assert tuple(pixels[y, x]) == GREY


def test_a_line_is_as_wide_as_asked_for_and_centred_on_the_edge() -> None:
    column = is_red(drawn(Polyline(np.array([[20, 50], [180, 50]]))))[:, 150]
    assert np.flatnonzero(column).tolist() in ([48, 49, 50], [49, 50], [49, 50, 51])


@settings(max_examples=30, deadline=None)
@given(x=st.floats(300, 900), y=st.floats(350, 900), size=st.tuples(st.integers(120, 400), st.integers(120, 400)))
def test_the_grid_is_scaled_to_the_picture_within_a_pixel(x: float, y: float, size: tuple[int, int]) -> None:
    line = Polyline(np.array([[x, 0.0], [x, 1000.0]])), Polyline(np.array([[0.0, y], [1000.0, y]]))
    pixels = is_red(drawn(*line, extent=(1000, 1000), size=size))
    column, row = np.flatnonzero(pixels[-3]) + 0.5, np.flatnonzero(pixels[:, -3]) + 0.5
    assert abs(column.mean() - x / 1000 * size[0]) <= 1
    assert abs(row.mean() - y / 1000 * size[1]) <= 1


def test_pixels_away_from_the_shapes_and_the_input_stay_as_they_were() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    result = np.asarray(draw_marks(image, [Mark(Box(20, 40, 60, 80), "#ff0000", "1")], extent=(200, 100), font_size=8))
    assert np.array_equal(np.asarray(image), noise)
    assert np.array_equal(result[:, 80:], noise[:, 80:])
    assert np.array_equal(result[45:75, 25:55], noise[45:75, 25:55])
    assert not np.array_equal(result, noise)


@pytest.mark.parametrize(
    "shape",
    [
        Box(300, 10, 400, 20),
        Polygon(np.array([[-50, -50], [-10, -50], [-10, -10]])),
        Polyline(np.array([[-1e9, 200], [1e9, 200]])),
        Polyline(np.array([[500, 500], [500, 500]])),
        Box(-1e9, -1e9, 1e9, 1e9),  # around the picture: its edges are far away
    ],
)
def test_what_lies_outside_the_picture_is_not_drawn(shape: Shape) -> None:
    assert (drawn(shape) == GREY).all()


def test_a_line_across_the_world_is_cut_off_at_the_picture() -> None:
    pixels = is_red(drawn(Polyline(np.array([[-1e9, 50], [1e9, 50]]))))
    assert pixels[49:51, 60:].all()
    assert not pixels[60:].any()


def test_a_line_that_shrank_to_a_point_is_a_dot() -> None:
    pixels = is_red(drawn(Polyline(np.array([[100, 50], [100, 50]]))))
    assert pixels[50, 98]
    assert not pixels[70].any()


def test_a_label_is_written_where_the_font_has_its_letters() -> None:
    shape = Box(40, 40, 60, 60)
    number, ascii_label, chinese = (
        np.asarray(draw_marks(picture(), [Mark(shape, "#ff0000", "1", label)], extent=(200, 100)))
        for label in ("", "switch", "设备")
    )
    assert is_red(ascii_label).sum() > is_red(number).sum()
    assert np.array_equal(chinese, number)


def test_tags_do_not_cover_each_other_while_there_is_room() -> None:
    marks = [Mark(Box(100, 100, 104, 104), color, "1", "name") for color in ("#ff0000", "#00ff00", "#0000ff")]
    pixels = np.asarray(draw_marks(picture(300, 300), marks, extent=(300, 300)))
    areas = [(pixels == color).all(axis=-1).sum() for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    assert min(areas) > 0.8 * max(areas)


def test_a_crowd_is_drawn_all_the_same() -> None:
    marks = [Mark(Box(10, 10, 20, 20), "#ff0000", str(number), "name") for number in range(60)]
    draw_marks(picture(40, 30), marks, extent=(40, 30))


@pytest.mark.parametrize(
    ("text", "possible"),
    [("switch 12", True), ("", True), ("设备", False), ("a设", False), ("a\nb", False), ("\ud800", False)],
)
def test_what_the_font_can_write(text: str, possible: bool) -> None:
    assert can_draw(text) is possible


def test_text_is_dark_on_bright_and_bright_on_dark() -> None:
    assert readable_on("#ffd000") != readable_on("#d4267d")
    assert readable_on("#d4267d") == "#ffffff"
