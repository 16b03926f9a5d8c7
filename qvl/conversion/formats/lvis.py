"""LVIS: COCO instances of which not every picture is searched for every category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qvl.conversion.formats.coco import CocoSource

__all__ = ["LvisSource"]


class LvisSource(CocoSource):
    """Reads LVIS, version 0.5 and 1.

    The metadata of a row keep what its picture is known about: `neg_categories` are known to be absent, of
    `not_exhaustive_categories` not every object is annotated, and of categories that are in neither list and have no
    object nothing is known.
    """

    def file_name(self, image: Mapping[str, Any]) -> str | None:
        """Return the path of a picture: the name of version 0.5, or folder and name of the address of version 1."""
        address = image.get("coco_url")
        if super().file_name(image) is None and isinstance(address, str):
            return "/".join(address.rstrip("/").split("/")[-2:]) or None
        return super().file_name(image)

    def details(self, image: Mapping[str, Any], names: Mapping[object, str]) -> Mapping[str, object]:
        """Return the id of the picture, and what is known of it."""
        lists = {
            "neg_categories": image.get("neg_category_ids"),
            "not_exhaustive_categories": image.get("not_exhaustive_category_ids"),
        }
        named = {
            key: [names.get(each, str(each)) for each in ids if isinstance(each, int | str)]
            for key, ids in lists.items()
            if isinstance(ids, list)
        }
        return {**super().details(image, names), **named}
