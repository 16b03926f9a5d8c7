"""Colours and style sheet of a gallery."""

from __future__ import annotations

import colorsys
from typing import Final

__all__ = ["STYLE", "Palette"]

_FIRST: Final = (
    "#ffd000", "#00b894", "#ff5fa8", "#4fa8ff", "#ff8a30", "#a6dd2f", "#b184ff", "#00d5e8", "#ff6f61", "#d9b38c",
)  # fmt: skip
"""Bright enough for dark pictures; each has a dark rim where it is drawn."""

_GOLDEN: Final = 0.61803398875


class Palette:
    """Gives every name a colour of its own, in the order in which names are met."""

    def __init__(self) -> None:
        """Begin without names."""
        self._colors: dict[str, str] = {}

    def color(self, name: str) -> str:
        """Return `#rrggbb`, always the same for a name."""
        if name not in self._colors:
            self._colors[name] = _nth_color(len(self._colors))
        return self._colors[name]


def _nth_color(number: int) -> str:
    if number < len(_FIRST):
        return _FIRST[number]
    red, green, blue = colorsys.hls_to_rgb((number * _GOLDEN) % 1, 0.62, 0.75)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


STYLE: Final = """\
:root { color-scheme: light; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 2000px; padding: 1.25rem; background: #f3f4f6; color: #1f2430;
  font: 14px/1.45 system-ui, sans-serif; }
header, section, #tools { background: #fff; border: 1px solid #dfe2e8; border-radius: 8px; padding: 1rem 1.25rem;
  margin-bottom: 1.25rem; }
section { content-visibility: auto; contain-intrinsic-size: auto 40rem; scroll-margin-top: 4.5rem; }
h1 { font-size: 1.35rem; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: .25rem 0; }
h2 a { color: inherit; text-decoration: none; background: #e6e8ed; border-radius: 4px; padding: 0 .45rem;
  margin-right: .3rem; }
header h2 { margin: 1rem 0 .4rem; }
h2 span { font-weight: normal; color: #5b6475; margin-left: .5rem; overflow-wrap: anywhere; }
h2 .differs { font-size: .85rem; margin-left: .5rem; white-space: nowrap; }
h3 { font-size: .95rem; margin: .5rem 0 .35rem; }
h3 small, .origin, .empty { color: #5b6475; font-weight: normal; }
.origin { margin: 0 0 .25rem; font-size: .85rem; overflow-wrap: anywhere; }
#tools { position: sticky; top: 0; z-index: 5; display: flex; flex-wrap: wrap; gap: .4rem 1rem; align-items: center;
  padding: .6rem 1rem; box-shadow: 0 2px 6px #0001; }
#tools label { color: #5b6475; white-space: nowrap; }
#tools select, #tools input { font: inherit; max-width: 14rem; }
#tools input[type=search] { width: 14rem; }
#count { margin-left: auto; font-variant-numeric: tabular-nums; }
#none { text-align: center; color: #5b6475; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0 0 .75rem; }
.tile { border: 1px solid #dfe2e8; border-radius: 6px; padding: .4rem .9rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.4rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile small { display: block; color: #5b6475; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem .5rem; }
.legend > span { margin-right: .9rem; }
.chip { display: inline-block; flex: none; border: 0; border-radius: 4px; padding: 0 .4rem; min-width: 1.6rem;
  text-align: center; font: inherit; font-weight: 600; background: var(--c); color: var(--on); }
button.chip { cursor: pointer; font-weight: normal; max-width: 100%; overflow-wrap: anywhere; }
header .legend button { flex: 0 1 auto; }
.chip.chosen { outline: 2px solid #1f2430; outline-offset: 1px; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; align-items: flex-start; }
.tables > div { max-width: 100%; max-height: 26rem; overflow: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { padding: .15rem .7rem; border-top: 1px solid #e6e8ed; text-align: right; }
th { font-weight: normal; color: #5b6475; border-top: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; min-width: 8rem; max-width: 30rem;
  overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .25rem; max-height: 12rem; overflow: auto; }
nav a { padding: .1rem .45rem; border-radius: 4px; text-decoration: none; color: #1f2430;
  background: color-mix(in srgb, #009e73 calc(var(--f1) * 45%), #f9d5e5 calc((1 - var(--f1)) * 100%)); }
nav small { margin-left: .35rem; color: #3c4454; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
.panel { min-width: 0; max-width: 60rem; }
.panel:only-child { max-width: none; display: grid; gap: 0 1.25rem; align-items: start;
  grid-template-columns: minmax(0, max-content) minmax(18rem, 1fr); }
.panel:only-child h3 { grid-column: 1 / -1; }
.panel:only-child figure { width: min(60vw, 80vh * var(--r)); }
.panel:only-child ol { max-height: 80vh; margin-top: 0; }
figure { position: relative; margin: 0; width: min(100%, 80vh * var(--r)); aspect-ratio: var(--r); overflow: hidden;
  border-radius: 4px; background: #ddd; cursor: zoom-in; }
figure svg { display: block; width: 100%; height: 100%; }
figure path { fill: none; stroke: var(--c); stroke-width: 2px; stroke-linejoin: round; stroke-linecap: round;
  vector-effect: non-scaling-stroke; pointer-events: none; }
figure path:first-child { stroke: #101418; stroke-width: 4px; pointer-events: all; }
figure .open path { pointer-events: stroke; }
figure g.on path:last-child { fill: var(--c); fill-opacity: .28; stroke-width: 3.5px; }
figure g.open.on path:last-child { fill: none; stroke-width: 5px; }
figure g.dim { opacity: .12; }
.bare figure g, .bare figure .tag { display: none; }
.tag { position: absolute; padding: 0 .3em; font-size: 12px; line-height: 1.35; white-space: nowrap; border-radius: 2px;
  background: var(--c); color: var(--on); pointer-events: none; }
.tag bdi { margin-left: .35em; }
.tag.on { z-index: 2; outline: 2px solid #101418; }
.tag.on[data-full]::after { content: attr(data-full); margin-left: .35em; }
.tag.short bdi, .tag.on[data-full] bdi, [data-labels="numbers"] .tag bdi { display: none; }
.tag.hid:not(.on) { visibility: hidden; }
.tag.dim, [data-labels="none"] .tag:not(.on) { display: none; }
ol { list-style: none; margin: .5rem 0; padding: 0; max-height: 24rem; overflow: auto; }
ol li { display: flex; gap: .6rem; align-items: baseline; padding: .2rem 0; border-top: 1px solid #eef0f3; }
li.on { background: #f1f5fb; }
li.dim { opacity: .35; }
.desc { margin-right: .3rem; font-weight: 600; overflow-wrap: anywhere; white-space: pre-wrap; }
.differs { background: #fdf0c8; border-radius: 4px; padding: 0 .3rem; font-weight: normal; }
ol span { color: #3c4454; margin-right: .3rem; overflow-wrap: anywhere; }
code { display: inline-block; color: #5b6475; font-size: .82rem; overflow-wrap: anywhere; }
.faults { color: #8a1f11; padding-left: 1.2rem; margin: .5rem 0; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f7f9; padding: .6rem;
  border-radius: 4px; unicode-bidi: plaintext; }
pre.line { margin: 0 0 .5rem; }
.panel.words ol { max-height: 40rem; }
summary { cursor: pointer; color: #3c4454; }
dialog { width: 100vw; height: 100vh; max-width: none; max-height: none; border: 0; padding: .5rem; background: #20242c;
  color: #e6e8ed; flex-direction: column; }
dialog[open] { display: flex; }
dialog p { margin: 0 0 .4rem; display: flex; gap: 1.5rem; align-items: center; }
dialog p span { color: #9aa3b2; margin-right: auto; }
#stage { flex: 1; min-height: 0; overflow: auto; cursor: grab; }
#stage figure { margin: 0 auto; cursor: inherit; }
#stage figure.exact image, #stage figure.exact use { image-rendering: pixelated; }
@media print { section { break-inside: avoid; content-visibility: visible; } #tools { display: none; } }
"""
