"""The demo data: procedural cabinets written once as JSONL and JPEG."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.progress import track

from qvl.conversation import IRRELEVANT
from qvl.data.painting import paint
from qvl.data.scenes import STYLES, Layout, Part, layout_scene
from qvl.data.unrelated import paint_unrelated
from qvl.runtime.checksums import CHECKSUMS_NAME, write_checksums
from qvl.runtime.files import discard, locked, replace_folder
from qvl.runtime.seeding import rng

__all__ = ["DemoScenes"]

_VERSION = 2
_JPEG_QUALITY = 92


class DemoScenes:
    """Generator of a demo data set; the same arguments give the same bytes."""

    def __init__(
        self,
        *,
        root: str,
        style: str,
        seed: int,
        splits: Mapping[str, int],
        irrelevant: Mapping[str, int] | None = None,
    ) -> None:
        """Say what to generate.

        Args:
            root: Folder to write: `<split>.jsonl`, `images/` and `manifest.json`.
            style: Name of a style in `qvl.data.scenes.STYLES`.
            seed: Of all scenes.
            splits: Number of scenes of each split.
            irrelevant: Number of pictures of something else of each split, for `<split>_irrelevant.jsonl`: rows without
                objects, whose summary is the literal `qvl.conversation.IRRELEVANT`. None for none.

        Raises:
            ValueError: The style is unknown or a split is empty.
        """
        if style not in STYLES:
            raise ValueError(f"style must be one of {sorted(STYLES)}, got {style!r}")
        pools = dict(irrelevant or {})
        if any(count < 1 for count in (*splits.values(), *pools.values())):
            raise ValueError(f"every split needs at least one picture, got {dict(splits)} and {pools}")
        self.root = Path(root)
        self.style = style
        self.seed = seed
        self.splits = dict(splits)
        self.irrelevant = pools

    def prepare(self) -> Path:
        """Write the data unless this very set lies there already.

        Processes that start together wait for the first one; an interrupted set is never taken for a whole one.

        Returns:
            The folder.
        """
        with locked(self.root):
            if not self._is_there():
                self._write()
        return self.root

    @property
    def _manifest(self) -> dict[str, object]:
        asked = {"version": _VERSION, "style": self.style, "seed": self.seed, "splits": self.splits}
        return asked | ({"irrelevant": self.irrelevant} if self.irrelevant else {})

    def _is_there(self) -> bool:
        manifest = self.root / "manifest.json"
        return manifest.is_file() and json.loads(manifest.read_text(encoding="utf-8")) == self._manifest

    def _write(self) -> None:
        staging = self.root.with_name(f".{self.root.name}.staging")
        discard(staging)
        (staging / "images").mkdir(parents=True)
        for split, count in self.splits.items():
            self._write_split(staging, split, count, self._scene)
        for split, count in self.irrelevant.items():
            self._write_split(staging, f"{split}_irrelevant", count, self._unrelated)
        write_checksums(staging / CHECKSUMS_NAME, [path for path in staging.rglob("*") if path.is_file()])
        (staging / "manifest.json").write_text(json.dumps(self._manifest, indent=2) + "\n", encoding="utf-8")
        replace_folder(staging, self.root)

    @staticmethod
    def _write_split(folder: Path, name: str, count: int, write: Callable[[Path, str, int], str]) -> None:
        pictures = track(range(count), description=f"demo scenes ({name})", transient=True)
        rows = [write(folder, name, index) for index in pictures]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")

    def _scene(self, folder: Path, split: str, index: int) -> str:
        """Write one picture and return its JSONL line."""
        draw = rng(self.seed, 0, f"{self.style}/{split}", index, 0)
        layout = layout_scene(STYLES[self.style], draw)
        name = f"images/{split}_{index:06d}.jpg"
        paint(layout, draw).save(folder / name, quality=_JPEG_QUALITY, subsampling=0)
        return json.dumps(_row(layout, name), ensure_ascii=False)

    def _unrelated(self, folder: Path, split: str, index: int) -> str:
        """Write one picture of something else and return its JSONL line."""
        name = f"images/{split}_{index:06d}.jpg"
        picture = paint_unrelated(rng(self.seed, 0, split, index, 0))
        picture.save(folder / name, quality=_JPEG_QUALITY, subsampling=0)
        row = {"images": [name], "width": picture.width, "height": picture.height, "summary": IRRELEVANT}
        return json.dumps(row, ensure_ascii=False)


def _row(layout: Layout, image: str) -> dict[str, object]:
    return {
        "images": [image],
        "objects": [_object(part) for part in layout.parts],
        "width": layout.width,
        "height": layout.height,
    }


def _object(part: Part) -> dict[str, object]:
    return {"desc": part.desc, part.key: [round(float(number), 2) for number in part.points.ravel()]}
