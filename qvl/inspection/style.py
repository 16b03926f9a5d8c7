"""Style sheet of the page."""

from __future__ import annotations

from typing import Final

from qvl.inspection.drawn import BAD, GOOD, WARNED

__all__ = ["STYLE"]

_SHEET = """\
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 1.25rem; background: #f3f4f6; color: #1f2430;
  font: 14px/1.45 system-ui, sans-serif; }
header, body > section { background: #fff; border: 1px solid #dfe2e8; border-radius: 8px; padding: 1rem 1.25rem;
  margin-bottom: 1.25rem; }
h1 { font-size: 1.35rem; margin: 0 0 .7rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .7rem; }
h3 { font-size: .95rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
.quiet { color: #5b6475; }
.verdict { display: inline-block; border-radius: 6px; padding: .3rem .8rem; margin: 0 0 .8rem; font-weight: 600; }
.verdict.good { background: #d9efe6; color: #005c44; }
.verdict.bad { background: #fbdcd9; color: #8a1f11; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0 0 .8rem; }
.tile { border: 1px solid #dfe2e8; border-radius: 6px; padding: .4rem .9rem; min-width: 7.5rem; }
.tile b { display: block; font-size: 1.35rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile small { display: block; color: #5b6475; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem .25rem 0; border-top: 1px solid #e6e8ed; text-align: left; vertical-align: top; }
th { border-top: 0; color: #5b6475; font-weight: normal; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; }
td code { overflow-wrap: anywhere; }
code { font-size: .86rem; }
.fatal { color: #a3160c; font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 25rem), 1fr)); gap: 1.2rem 1.8rem; }
.plots p { margin: 0 0 .2rem; color: #5b6475; font-size: .88rem; }
svg { display: block; width: 100%; height: auto; font-size: 11px; }
svg rect { fill: #2a7ab8; }
svg rect.over { fill: var(--bad); }
svg rect.frame { fill: #f1f3f6; stroke: #c9ced8; }
svg.map { max-width: 15rem; }
svg text { fill: #3c4454; }
svg .name { fill: #5b6475; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: #e9ebef; }
.tables { display: flex; flex-wrap: wrap; gap: 1.2rem 3rem; align-items: flex-start; }
.tables > div { max-width: 100%; max-height: 30rem; overflow: auto; }
.tables td:first-child { max-width: 26rem; overflow-wrap: anywhere; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
.share { display: inline-block; height: .6rem; background: #2a7ab8; border-radius: 2px; vertical-align: middle; }
.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem;
  align-items: start; }
.rows article { border: 1px solid #dfe2e8; border-radius: 6px; padding: .7rem; min-width: 0; }
.rows img { display: block; width: 100%; height: auto; max-height: 24rem; object-fit: contain; background: #eceef2;
  border-radius: 4px; }
.rows ul { margin: .5rem 0 0; padding-left: 1.1rem; }
.rows li { margin: .15rem 0; overflow-wrap: anywhere; }
.rows li.bad::marker { color: var(--bad); }
.rows li.warned::marker { color: var(--warned); }
.none { background: #f1f3f6; border-radius: 4px; padding: 1.5rem .8rem; color: #5b6475; overflow-wrap: anywhere;
  text-align: center; }
.chip { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .3rem 0 .8rem;
  vertical-align: -1px; }
summary { cursor: pointer; color: #0b57a4; }
@media print { body > section { break-inside: avoid; } body { background: #fff; } }
"""

STYLE: Final = f":root {{ color-scheme: light; --bad: {BAD}; --warned: {WARNED}; --good: {GOOD}; }}\n{_SHEET}"
