"""Colours and style sheet of the page."""

from __future__ import annotations

from typing import Final

from qvl.visualization.drawing import readable_on
from qvl.visualization.verdicts import Outcome

__all__ = ["COLORS", "STYLE"]

COLORS: Final = {
    Outcome.MATCHED: "#009e73",
    Outcome.MISSED: "#ffd000",
    Outcome.WRONG: "#d4267d",
    Outcome.MALFORMED: "#6b7280",
}
"""Told apart also by eyes that do not see red and green as different."""

_VARIABLES = "".join(
    f"  --{outcome.value}: {color}; --on-{outcome.value}: {readable_on(color)};\n" for outcome, color in COLORS.items()
)
_SHEET = """\
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 2000px; padding: 1.25rem; background: #f3f4f6; color: #1f2430;
  font: 14px/1.45 system-ui, sans-serif; }
header, section { background: #fff; border: 1px solid #dfe2e8; border-radius: 8px; padding: 1rem 1.25rem;
  margin-bottom: 1.25rem; }
h1 { font-size: 1.35rem; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: .25rem 0; }
h2 a { color: inherit; text-decoration: none; background: #e6e8ed; border-radius: 4px; padding: 0 .45rem;
  margin-right: .3rem; }
header h2 { margin: 1rem 0 .4rem; }
h2 span { font-weight: normal; color: #5b6475; margin-left: .5rem; overflow-wrap: anywhere; }
h3 { font-size: .95rem; margin: .5rem 0 .35rem; }
h3 small, .origin, .empty { color: #5b6475; font-weight: normal; }
.origin { margin: 0 0 .25rem; font-size: .85rem; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 0 0 .75rem; }
.tile { border: 1px solid #dfe2e8; border-radius: 6px; padding: .4rem .9rem; min-width: 8rem; }
.tile b { display: block; font-size: 1.4rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile small { display: block; color: #5b6475; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; }
.chip { display: inline-block; flex: none; border-radius: 4px; padding: 0 .4rem; min-width: 1.6rem;
  text-align: center; }
.chip.matched { background: var(--matched); color: var(--on-matched); }
.chip.missed { background: var(--missed); color: var(--on-missed); }
.chip.wrong { background: var(--wrong); color: var(--on-wrong); }
.chip.malformed { background: var(--malformed); color: var(--on-malformed); }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; align-items: flex-start; }
.tables > div { max-width: 100%; max-height: 26rem; overflow: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { padding: .15rem .7rem; border-top: 1px solid #e6e8ed; text-align: right; }
th { font-weight: normal; color: #5b6475; border-top: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; min-width: 8rem; max-width: 30rem;
  overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .25rem; }
nav a { padding: .1rem .45rem; border-radius: 4px; text-decoration: none; color: #1f2430;
  background: color-mix(in srgb, var(--matched) calc(var(--f1) * 45%), #f9d5e5 calc((1 - var(--f1)) * 100%)); }
nav small { margin-left: .35rem; color: #3c4454; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
img { display: block; width: 100%; height: auto; max-width: 960px; border-radius: 4px; background: #ddd; }
ol { list-style: none; margin: .5rem 0; padding: 0; }
ol li { display: flex; gap: .6rem; align-items: baseline; padding: .2rem 0; border-top: 1px solid #eef0f3; }
.desc { margin-right: .3rem; font-weight: 600; overflow-wrap: anywhere; white-space: pre-wrap; }
.differs { background: #fdf0c8; border-radius: 4px; padding: 0 .3rem; font-weight: normal; }
ol span { color: #3c4454; margin-right: .3rem; overflow-wrap: anywhere; }
code { display: inline-block; color: #5b6475; font-size: .82rem; overflow-wrap: anywhere; }
.faults { color: #8a1f11; padding-left: 1.2rem; margin: .5rem 0; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f7f9; padding: .6rem;
  border-radius: 4px; unicode-bidi: plaintext; }
summary { cursor: pointer; color: #3c4454; }
@media print { section { break-inside: avoid; } }
"""

STYLE: Final = f":root {{ color-scheme: light;\n{_VARIABLES}}}\n{_SHEET}"
