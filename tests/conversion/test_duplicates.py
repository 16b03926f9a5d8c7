"""Pictures that look the same have nearly the same hash, and every such pair is found."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from qvl.conversion.duplicates import MAX_DISTANCE, across, near_duplicates, picture_hash
from qvl.errors import RecordError

HASH = st.integers(0, 2**64 - 1)


def scene(seed: int, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """Return a picture of smooth spots, which survives resizing and compression."""
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 256, size=(6, 8, 3), dtype=np.uint8))
    return small.resize(size, Image.Resampling.BICUBIC)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def bits(a: int, b: int) -> int:
    return (a ^ b).bit_count()


def brute_force(hashes: list[int], distance: int) -> set[frozenset[int]]:
    """Return all pairs of different values."""
    return {frozenset(pair) for pair in itertools.combinations(set(hashes), 2) if bits(*pair) <= distance}


def test_size_compression_and_format_change_little_of_a_hash(tmp_path: Path) -> None:
    original = picture_hash(saved(tmp_path / "a.png", scene(1)))
    copies = [
        saved(tmp_path / "b.jpg", scene(1), quality=40),
        saved(tmp_path / "c.jpg", scene(1).resize((200, 150)), quality=85),
        saved(tmp_path / "d.webp", scene(1).resize((1500, 1125)), quality=60),
    ]
    assert all(bits(original, picture_hash(path)) <= 3 for path in copies)


def test_other_pictures_have_other_hashes(tmp_path: Path) -> None:
    hashes = [picture_hash(saved(tmp_path / f"{seed}.jpg", scene(seed))) for seed in range(12)]
    assert min(bits(*pair) for pair in itertools.combinations(hashes, 2)) > 10


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_picture_is_seen_upright(tmp_path: Path, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = saved(tmp_path / f"turned.{ending}", scene(1).transpose(Image.Transpose.ROTATE_90), exif=exif)
    upright = saved(tmp_path / f"upright.{ending}", scene(1))
    assert bits(picture_hash(turned), picture_hash(upright)) <= 1


def test_a_picture_of_one_colour_has_the_hash_0(tmp_path: Path) -> None:
    assert picture_hash(saved(tmp_path / "a.jpg", Image.new("RGB", (50, 70), "teal"))) == 0


def test_a_picture_that_is_smaller_than_the_hash_has_one_too(tmp_path: Path) -> None:
    image = Image.new("L", (3, 2))
    ImageDraw.Draw(image).point((1, 0), 255)
    assert 0 < picture_hash(saved(tmp_path / "a.png", image)) < 2**64


def test_a_damaged_picture_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", scene(1))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(RecordError, match=r"a\.jpg"):
        picture_hash(path)


@given(
    st.lists(HASH, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.sets(st.integers(0, 63), max_size=MAX_DISTANCE + 2)), max_size=12),
    st.integers(0, MAX_DISTANCE),
)
def test_every_pair_is_found_and_no_other(
    hashes: list[int], changes: list[tuple[int, set[int]]], distance: int
) -> None:
    near = [hashes[start] ^ sum(1 << bit for bit in flipped) for start, flipped in changes if start < len(hashes)]
    everything = hashes + near
    found = [tuple(pair) for pair in near_duplicates(everything, distance=distance).tolist()]
    assert all(one < other for one, other in found)
    assert found == sorted(set(found))
    values = [(everything[one], everything[other]) for one, other in found]
    assert {frozenset(pair) for pair in values if pair[0] != pair[1]} == brute_force(everything, distance)
    num_equal = sum(one == other for one, other in values)
    assert num_equal == len(everything) - len(set(everything))


def test_many_pictures_of_one_colour_do_not_explode() -> None:
    found = near_duplicates([0] * 50_000 + [2**64 - 1] * 50_000, distance=3)
    assert len(found) == 2 * 49_999
    assert np.unique(found[:, 0]).tolist() == [0, 50_000]


@pytest.mark.parametrize("distance", [-1, MAX_DISTANCE + 1])
def test_a_distance_out_of_its_limits_is_refused(distance: int) -> None:
    with pytest.raises(ValueError, match=f"0..{MAX_DISTANCE}"):
        near_duplicates([1], distance=distance)


def test_pairs_in_one_split_are_no_leak() -> None:
    assert across(np.array([(0, 1), (0, 2)]), ["train", "train", "val"]) == [(0, 2)]


def test_nearly_flat_pictures_are_found_in_a_moment() -> None:
    flat = [1 << one | 1 << other for one in range(64) for other in range(64)]
    assert len(near_duplicates(flat, distance=3)) > 100_000


@pytest.mark.parametrize("hashes", [[], [5]])
def test_without_another_picture_there_is_no_pair(hashes: list[int]) -> None:
    pairs = near_duplicates(hashes, distance=3)
    assert pairs.shape == (0, 2)
    assert across(pairs, ["train"] * len(hashes)) == []
