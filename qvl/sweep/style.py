"""Style sheet, script and colours of the page."""

from __future__ import annotations

from typing import Final

__all__ = ["COLORS", "DASHES", "SCRIPT", "STYLE"]

COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00", "#3aa0d8", "#7a5195", "#5b6475")
"""Told apart also by eyes that do not see red and green as different."""

DASHES: Final = ("", "7 3", "2 3", "9 3 2 3")

STYLE: Final = """\
:root { color-scheme: light; --line: #dfe2e8; --quiet: #5b6475; --good: #00795a; --bad: #b3261e; --run: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1800px; padding: 1.25rem; background: #f3f4f6; color: #1f2430;
  font: 14px/1.45 system-ui, sans-serif; }
header, section { background: #fff; border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem;
  margin-bottom: 1.25rem; }
h1 { font-size: 1.35rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .6rem; }
h3 { font-size: .95rem; margin: .9rem 0 .3rem; overflow-wrap: anywhere; }
p { margin: .4rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dt, .quiet { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.notes { margin: .8rem 0 0; padding: .5rem .8rem .5rem 1.8rem; background: #fdf3d6; border-radius: 6px; }
nav { margin-top: .8rem; display: flex; flex-wrap: wrap; gap: .3rem 1rem; }
a { color: #0b57a4; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; border-top: 1px solid #e6e8ed; text-align: left; vertical-align: top;
  white-space: nowrap; }
th { border-top: 0; color: var(--quiet); font-weight: normal; }
td.setting, td.open { white-space: normal; overflow-wrap: anywhere; min-width: 7rem; max-width: 22rem; }
td.open { min-width: 12rem; }
.number { text-align: right; }
.plain th, .plain td { padding: .2rem .5rem; }
.plain th:first-child, .plain td:first-child { white-space: normal; overflow-wrap: anywhere; padding-left: 0; }
.plain td:not(:first-child), .plain th:not(:first-child) { text-align: right; }
th button { all: unset; cursor: pointer; white-space: nowrap; }
th button:hover, th button:focus-visible { color: #1f2430; text-decoration: underline; }
th button::after { content: " \\2195"; opacity: .35; }
th[aria-sort="ascending"] button::after { content: " \\2191"; opacity: 1; }
th[aria-sort="descending"] button::after { content: " \\2193"; opacity: 1; }
tbody tr:hover, tbody tr.on { background: #f1f5fb; }
tr.best { background: #e8f5ef; }
tr.best td:first-child { font-weight: bold; }
.chosen { font-weight: 600; }
span.state { border-radius: 4px; padding: 0 .4rem; background: #e6e8ed; }
span.state.completed, span.state.finished { background: #d9efe6; color: #005c44; }
span.state.failed, span.state.timed_out { background: #fbdcd9; color: #8a1f11; }
span.state.running { background: #d8e9f8; color: #0b4a80; }
span.state.stopped, span.state.preempted, span.state.unknown { background: #fdf0c8; color: #6a4b00; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1rem 2rem; }
.plots > div { min-width: 0; }
svg { display: block; width: 100%; max-width: 760px; height: auto; font-size: 12px; }
svg text { fill: #3c4454; }
svg .name { fill: var(--quiet); }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.grid { stroke: #e9ebef; }
.curve polyline { fill: none; stroke-linejoin: round; }
.curve .line { stroke-width: 1.7; }
.curve .hit { stroke: transparent; stroke-width: 12; }
.curve.on .line { stroke-width: 3.2; }
body[data-shown] .curve:not(.on) { opacity: .13; }
.run { fill: var(--run); fill-opacity: .55; }
.run.on { fill: #d55e00; fill-opacity: 1; r: 6.5px; }
.whisker { stroke: #1f2430; stroke-opacity: .45; stroke-width: 2; fill: none; }
.mean { stroke: #1f2430; stroke-width: 3; fill: none; }
.means { stroke: #1f2430; stroke-opacity: .35; stroke-width: 1.4; fill: none; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.2rem; list-style: none; padding: 0; margin: .3rem 0 .8rem; }
.legend li { border-radius: 4px; padding: 0 .3rem; overflow-wrap: anywhere; }
.legend li.on { background: #e6e8ed; }
.legend svg { display: inline-block; width: 30px; height: 10px; margin-right: .4rem; vertical-align: middle; }
progress { width: 14rem; max-width: 100%; accent-color: var(--run); }
.entry { border-top: 1px solid #e6e8ed; padding: .5rem 0; }
.cause { color: #8a1f11; font-weight: 600; margin: .2rem 0; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f7f9; padding: .6rem; border-radius: 4px;
  font-size: .85rem; margin: .4rem 0; unicode-bidi: plaintext; }
summary { cursor: pointer; color: #3c4454; }
@media print { section { break-inside: avoid; } body { background: #fff; } }
"""

SCRIPT: Final = """\
"use strict";
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const head = button.parentElement, body = head.closest("table").tBodies[0], column = head.cellIndex;
  const up = head.getAttribute("aria-sort") === (head.dataset.first || "ascending")
    ? (head.dataset.first === "descending") : (head.dataset.first !== "descending");
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.cells[column].dataset.order;
  const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, {numeric: true}) : a - b;
  const missing = row => key(row) === undefined;
  const rows = [...body.rows].sort((a, b) => missing(a) || missing(b) ? missing(a) - missing(b)
    : (up ? 1 : -1) * compare(key(a), key(b)));
  body.append(...rows);
};
document.onmouseover = event => {
  const job = event.target.closest("[data-job]")?.dataset.job;
  for (const old of document.querySelectorAll(".on")) old.classList.remove("on");
  delete document.body.dataset.shown;
  if (job === undefined) return;
  if (document.querySelector(`.curve[data-job="${job}"]`)) document.body.dataset.shown = job;
  for (const item of document.querySelectorAll(`[data-job="${job}"]`)) item.classList.add("on");
};
"""
