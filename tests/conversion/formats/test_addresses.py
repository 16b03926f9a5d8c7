"""Addresses of pictures as paths."""

from __future__ import annotations

import pytest

from qvl.conversion.formats.addresses import picture_path


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("a b/ä.jpg", "a b/ä.jpg"),
        ("what?.jpg", "what?.jpg"),
        ("/abs/a.jpg", "/abs/a.jpg"),
        ("C:\\set\\a.jpg", "C:/set/a.jpg"),
        ("file:///abs/a%20b.jpg", "/abs/a b.jpg"),
        ("file:///C:/set/a.jpg", "C:/set/a.jpg"),
        ("/data/local-files/?d=a%2Fb.jpg&x=1", "a/b.jpg"),
        ("/data/upload/b.jpg", "b.jpg"),
    ],
)
def test_a_path_stays_a_path(address, path):
    assert picture_path(address) == (path, ())


@pytest.mark.parametrize(
    ("address", "path"),
    [("https://host/set/a.jpg?size=3#x", "set/a.jpg"), ("gs://bucket/a.jpg", "a.jpg")],
)
def test_an_address_becomes_the_path_behind_its_host(address, path):
    assert picture_path(address) == (path, ("path_from_url",))


@pytest.mark.parametrize(
    "address", ["", " ", "data:image/png;base64,AA", "https://host", "http://[bad/a.jpg", "file://"]
)
def test_what_leads_to_no_file_is_told(address):
    assert picture_path(address) is None
