"""Label Studio: the JSON export of a project, one task or any number of them a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.conversion.annotated import Annotated, Refused
from qvl.conversion.files import read_json
from qvl.conversion.finder import SUFFIXES
from qvl.conversion.formats.addresses import picture_path
from qvl.conversion.formats.documents import documents, find_picture
from qvl.conversion.formats.json_values import as_text, mapping
from qvl.conversion.formats.label_studio_regions import Regions, read_regions, size_of
from qvl.conversion.source import BaseSource

__all__ = ["LabelStudioSource"]

USES = ("annotations", "predictions")
PICKS = ("latest", "first", "all")
IMAGE_KEYS = ("image", "img", "image_url", "picture", "photo", "url")
UPLOAD_PREFIX = 8
"""Length of what Label Studio puts in front of the name of an uploaded file, before a hyphen."""


class LabelStudioSource(BaseSource):
    """Tasks of Label Studio: JSON, JSON-MIN, and what it writes into a target storage.

    Numbers are percent of the picture. A rectangle is turned clockwise about its top left corner, an ellipse about its
    centre. The rotation of the view (`image_rotation`) moves no number.
    """

    def __init__(
        self,
        *,
        path: str,
        images: str | None = None,
        use: str = "annotations",
        pick: str = "latest",
        image_key: str | None = None,
        summary: str | None = None,
        strip_upload_prefix: bool = False,
    ) -> None:
        """Say where the tasks lie and what of them is read.

        Args:
            path: A JSON file, a folder with any number of them, or an archive of one.
            images: Folder of the pictures; None for the folder of the annotations.
            use: annotations, or predictions of a model.
            pick: Of several annotations of a task: latest, first, or all together. Cancelled ones are never taken, and
                where there is a ground truth nothing else is.
            image_key: Key of `data` that holds the picture; None finds it.
            summary: Name of the control whose answer about the whole picture becomes the summary; None for no summary.
            strip_upload_prefix: Whether to look for `name.jpg` where an uploaded file is called `1a2b3c4d-name.jpg`.

        Raises:
            ValueError: `use` or `pick` is none of its choices.
        """
        super().__init__(path=path, images=images)
        if use not in USES:
            raise ValueError(f"use must be one of {', '.join(USES)}, got {use!r}")
        if pick not in PICKS:
            raise ValueError(f"pick must be one of {', '.join(PICKS)}, got {pick!r}")
        self.use = use
        self.pick = pick
        self.image_key = image_key
        self.summary = summary
        self.strip_upload_prefix = strip_upload_prefix

    def read(self) -> Iterator[Annotated | Refused]:
        """Yield every picture of every task, in the order of the files."""
        for document in documents(self, read_json):
            if isinstance(document, Refused):
                yield document
                continue
            file, value = document
            entries = value if isinstance(value, list) else [value]
            for index, entry in enumerate(entries):
                place = f"tasks[{index}]" if isinstance(value, list) else ""
                yield from self._task(file, entry, self.place(file, place))

    def _task(self, file: Path, entry: object, where: str) -> Iterator[Annotated | Refused]:
        task = _as_task(mapping(entry), self.use)
        if task is None:
            yield Refused(where, "not_label_studio", "a task has `data`, and a list `annotations` or `predictions`")
            return
        addresses = _addresses(mapping(task["data"]), self.image_key)
        if not addresses:
            yield Refused(
                where, "no_picture_named", "no key of `data` holds a picture; set source.image_key", task["data"]
            )
            return
        results, repairs = _chosen(task.get(self.use), self.pick)
        if results is None:
            cancelled = "annotation_cancelled" in repairs
            message = "all its annotations were cancelled" if cancelled else f"it has no {self.use}"
            yield Refused(where, "cancelled" if cancelled else "not_annotated", message)
            return
        for index, address in enumerate(addresses):
            place = f"{where}: picture {index}" if len(addresses) > 1 else where
            mine = [each for each in results if (mapping(each).get("item_index") or 0) == index]
            yield self._picture(file, address, mine, place, repairs if index == 0 else (), task.get("id"))

    def _picture(
        self, file: Path, address: str, results: Sequence[object], where: str, repairs: Sequence[str], task: object
    ) -> Annotated | Refused:
        found = picture_path(address)
        if found is None:
            return Refused(where, "no_picture_named", "the picture is part of the file, not a file of its own")
        name, mended = found
        names = [name, _without_prefix(name)] if self.strip_upload_prefix else [name]
        regions = read_regions(results, where)
        sizes = list(dict.fromkeys(size for size in map(size_of, map(mapping, results)) if size))
        width, height = sizes[0] if sizes else (None, None)
        differ = ("sizes_differ",) * (len(sizes) > 1)
        return Annotated(
            image=find_picture(self, file, names),
            where=where,
            objects=regions.objects,
            refused=regions.refused,
            width=width,
            height=height,
            unit="share",
            repairs=(*repairs, *mended, *differ, *regions.repairs),
            metadata=_metadata(task, regions),
            summary=regions.answers.get(self.summary) if self.summary else None,
        )


def _metadata(task: object, regions: Regions) -> dict[str, object]:
    said: dict[str, object] = {} if task is None else {"task": task}
    return {**said, "answers": dict(regions.answers)} if regions.answers else said


def _as_task(entry: Mapping[str, object], use: str) -> dict[str, object] | None:
    """Return an entry of any of the three forms as a task, None if it is none of them."""
    if isinstance(entry.get("data"), dict):
        older = {"annotations": entry["completions"]} if "completions" in entry else {}
        return {**older, **entry}
    owner = mapping(entry.get("task"))
    if isinstance(entry.get("result"), list) and isinstance(owner.get("data"), dict):
        return {"id": owner.get("id"), "data": owner["data"], use: [entry]}
    results = [result for key, value in entry.items() for result in _minimal(key, value)]
    if results or "annotation_id" in entry:
        return {"id": entry.get("id"), "data": entry, use: [{"result": results}]}
    return None


def _minimal(key: str, value: object) -> Iterator[dict[str, object]]:
    """Yield the results behind one key of JSON-MIN: a list of regions, or an answer."""
    if isinstance(value, dict) and "choices" in value:
        yield {"id": key, "from_name": key, "value": value}
    regions = value if isinstance(value, list) else []
    for count, region in enumerate(map(mapping, regions)):
        if any(name.endswith("labels") for name in region):
            size = {side: region.get(side) for side in ("original_width", "original_height")}
            yield {"id": f"{key}[{count}]", "from_name": key, "value": region, **size}


def _addresses(data: Mapping[str, object], image_key: str | None) -> list[str]:
    """Return the addresses of the pictures of a task: of a list all, in its order."""
    texts = {
        key: [
            each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str) and each.strip()
        ]
        for key, value in data.items()
    }
    if image_key is not None:
        return texts.get(image_key, [])
    pictures = [key for key, value in texts.items() if value and all(_is_picture(each) for each in value)]
    named = [key for key in IMAGE_KEYS if texts.get(key)]
    both = [key for key in named if key in pictures]
    return texts[next(iter([*both, *pictures, *named]))] if pictures or named else []


def _is_picture(address: str) -> bool:
    found = picture_path(address)
    return found is not None and found[0].partition("?")[0].lower().endswith(SUFFIXES)


def _chosen(entries: object, pick: str) -> tuple[list[object] | None, tuple[str, ...]]:
    """Return the results of the annotations to be used, None without any; a code for each that is left aside."""
    found = [entry for entry in map(mapping, entries if isinstance(entries, list) else []) if entry]
    usable = [entry for entry in found if not entry.get("was_cancelled") and isinstance(entry.get("result"), list)]
    repairs = ["annotation_cancelled" for entry in found if entry.get("was_cancelled")]
    truths = [entry for entry in usable if entry.get("ground_truth") is True] or usable
    if pick == "latest":
        taken = sorted(truths, key=lambda entry: as_text(entry.get("updated_at") or entry.get("created_at")))[-1:]
    else:
        taken = truths[:1] if pick == "first" else truths
    repairs += ["other_annotation_ignored"] * (len(usable) - len(taken))
    results = [result for number, entry in enumerate(taken) for result in _results(entry, number)]
    return results if taken else None, tuple(repairs)


def _results(entry: Mapping[str, object], number: int) -> list[object]:
    """Return the results of an annotation; the ids of a second one are marked, for they may be those of the first."""
    results = entry["result"] if isinstance(entry["result"], list) else []
    if not number:
        return results
    named = [dict(mapping(each)) for each in results]
    return [{**each, "id": f"{number}/{as_text(each['id'])}"} if "id" in each else each for each in named]


def _without_prefix(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    prefix, hyphen, rest = last.partition("-")
    return folder + slash + rest if hyphen and len(prefix) == UPLOAD_PREFIX and prefix.isalnum() else name
