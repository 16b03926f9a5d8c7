"""Layouts of procedural equipment cabinets: what stands where, before anything is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["STYLES", "Layout", "Part", "Style", "layout_scene"]

WIDTH, HEIGHT = 256, 192
_COLUMNS, _ROWS = 3, 3
_SLOT_WIDTH, _SLOT_HEIGHT = WIDTH / _COLUMNS, HEIGHT / _ROWS


@dataclass(frozen=True, slots=True)
class Style:
    """What a family of scenes looks like and which words describe it.

    Attributes:
        devices: Kinds of devices, drawn with one face colour each (RGB).
        background: Darkest and brightest grey of the cabinet's back wall.
        cables: Name and RGB of each cable colour.
        label: RGB of the label's paper.
        screw: RGB of the screw's head.
        attributes: Attribute written into the `desc` of a device and its values.
        noise: Standard deviation of the pixel noise, in grey levels.
    """

    devices: tuple[tuple[str, tuple[int, int, int]], ...]
    background: tuple[int, int]
    cables: tuple[tuple[str, tuple[int, int, int]], ...]
    label: tuple[int, int, int]
    screw: tuple[int, int, int]
    attributes: tuple[str, tuple[str, ...]]
    noise: float


STYLES: dict[str, Style] = {
    "cabinet": Style(
        devices=(("device", (70, 110, 190)), ("psu", (80, 150, 90))),
        background=(196, 232),
        cables=(("red", (205, 40, 40)), ("black", (25, 25, 30))),
        label=(250, 235, 90),
        screw=(60, 60, 66),
        attributes=("lamp", ("on", "off")),
        noise=3.0,
    ),
    "field": Style(
        devices=(("device", (90, 150, 86)), ("device", (104, 158, 92))),  # green: a power supply in the other style
        background=(150, 185),
        cables=(("red", (220, 90, 40)), ("black", (40, 30, 60))),
        label=(245, 245, 200),
        screw=(50, 50, 50),
        attributes=("color", ("red", "black")),
        noise=6.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a scene.

    Attributes:
        kind: `device`, `screw`, `label` or `cable`: how it is painted.
        desc: Its description, `type=` first.
        key: Geometry key, `bbox_2d`, `poly` or `line`.
        points: (P, 2) float64 pixel edges; a box has its two corners.
        color: RGB of its face.
        mark: Value of the attribute that is painted on it, empty for none.
    """

    kind: str
    desc: str
    key: str
    points: np.ndarray
    color: tuple[int, int, int]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """All parts of one picture, back to front, on a canvas of `width` x `height` pixels."""

    width: int
    height: int
    wall: int
    noise: float
    parts: tuple[Part, ...]


def layout_scene(style: Style, rng: np.random.Generator) -> Layout:
    """Draw a random cabinet: devices in slots with screws and labels, cables between free slots.

    Args:
        style: Look and words.
        rng: The scene's own generator; the layout depends on it and on `style` only.

    Returns:
        A layout whose shapes lie inside the canvas.
    """
    slots = rng.permutation(_COLUMNS * _ROWS)
    num_devices = 3 if rng.random() < 0.25 else 2
    parts: list[Part] = []
    for slot in slots[:num_devices]:
        device = _device(style, _slot_box(int(slot), rng), rng)
        parts.append(device)
        if rng.random() < 0.3:
            parts.append(_label(style, device, rng))
        if rng.random() < 0.3:
            parts.append(_screw(style, device, rng))
    num_cables = 2 if rng.random() < 0.2 else 1
    parts.extend(
        _cable(style, _slot_box(int(slot), rng), rng) for slot in slots[num_devices : num_devices + num_cables]
    )
    wall = int(rng.integers(style.background[0], style.background[1] + 1))
    return Layout(WIDTH, HEIGHT, wall, style.noise, tuple(parts))


def _slot_box(slot: int, rng: np.random.Generator) -> np.ndarray:
    """Return [x1, y1, x2, y2] of a slot's usable area, jittered."""
    row, column = divmod(slot, _COLUMNS)
    left, top = column * _SLOT_WIDTH, row * _SLOT_HEIGHT
    inset = rng.uniform(5.0, 13.0, 4) * (1, 1, -1, -1)
    return np.array([left, top, left + _SLOT_WIDTH, top + _SLOT_HEIGHT]) + inset


def _device(style: Style, box: np.ndarray, rng: np.random.Generator) -> Part:
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1 - 3.0], [x2, y1], [x2, y2], [x1, y2]]) + rng.uniform(-1.4, 1.4, (4, 2))
    kind, color = style.devices[int(rng.integers(len(style.devices)))]
    name, values = style.attributes
    mark = values[int(rng.integers(len(values)))]
    return Part("device", f"type={kind},{name}={mark}", "poly", corners, color, mark=mark)


def _label(style: Style, device: Part, rng: np.random.Generator) -> Part:
    """A strip of paper that slopes to the right on the lower half of a device."""
    x1, _ = device.points.min(axis=0)
    x2, y2 = device.points.max(axis=0)
    width, height = rng.uniform(30.0, 36.0), rng.uniform(15.0, 18.0)
    left, top = x1 + 6.0 + rng.uniform(0.0, 4.0), y2 - 7.0 - height
    slant = rng.uniform(0.5, 4.0)
    corners = np.array(
        [[left, top], [left + width, top + slant], [left + width, top + height + slant], [left, top + height]]
    )
    return Part("label", "type=label", "poly", np.clip(corners, (0, 0), (x2 - 1.0, y2)), style.label)


def _screw(style: Style, device: Part, rng: np.random.Generator) -> Part:
    """A round head in the upper right corner of a device."""
    x2, _ = device.points.max(axis=0)
    y1 = device.points[:, 1].min()
    size = rng.uniform(17.0, 21.0)
    right, top = x2 - rng.uniform(5.0, 8.0), y1 + rng.uniform(4.0, 7.0)
    return Part("screw", "type=screw", "bbox_2d", np.array([[right - size, top], [right, top + size]]), style.screw)


def _cable(style: Style, box: np.ndarray, rng: np.random.Generator) -> Part:
    """A cable of three points that sags or climbs through a free slot."""
    x1, y1, x2, y2 = box
    middle = (y1 + y2) / 2.0
    half = (y2 - y1) / 2.0
    bends = rng.uniform(-1.0, 1.0, 3) * (0.3 * half, 0.9 * half, 0.3 * half)
    points = np.array([[x1, middle + bends[0]], [(x1 + x2) / 2.0, middle + bends[1]], [x2, middle + bends[2]]])
    name, color = style.cables[int(rng.integers(len(style.cables)))]
    return Part("cable", f"type=cable,color={name}", "line", points, color)
