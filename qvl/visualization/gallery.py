"""A gallery as one HTML page with search and filters; it needs no other file and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import track

from qvl.runtime.page import html_page
from qvl.visualization.card import Card, Panel
from qvl.visualization.drawing import readable_on
from qvl.visualization.figure import render_panel
from qvl.visualization.markup import escape
from qvl.visualization.script import SCRIPT
from qvl.visualization.style import STYLE

__all__ = ["Layout", "render_gallery", "track_cards"]

MOST_LEGEND = 40  # names of the legend; the filter has all


@dataclass(frozen=True, slots=True)
class Layout:
    """What a gallery has besides its cards.

    Attributes:
        title: Title of the page.
        lead: HTML between the title and the filters; every text in it went through `escape`.
        item_facets: What objects can be filtered by. All that are chosen have to hold for one object.
        card_facets: What cards can be filtered by.
        orders: What cards can be sorted by.
        legend: The item facet whose values have the colours, shown above the cards; None for none.
    """

    title: str
    lead: str = ""
    item_facets: Sequence[str] = ()
    card_facets: Sequence[str] = ()
    orders: Sequence[str] = ()
    legend: str | None = None


def render_gallery(cards: Iterable[Card], layout: Layout) -> str:
    """Return a whole HTML document.

    Args:
        cards: Taken one at a time, so that their pictures need not be in memory together.
        layout: The rest of the page.
    """
    seen = _Seen()
    sections = [_section(number, card, layout, seen) for number, card in enumerate(cards, 1)]
    head = f"<header>\n<h1>{escape(layout.title)}</h1>\n{layout.lead}{_legend(layout, seen)}\n</header>"
    none = '<p id="none" hidden>No entry fits what was asked for.</p>'
    body = [head, _toolbar(layout, seen, len(sections)), "<main>", *sections, "</main>", none, _DIALOG]
    return html_page(
        escape(layout.title), style=STYLE, body="\n".join(body), script=SCRIPT, attributes='data-labels="auto"'
    )


def track_cards(cards: Iterable[Card], *, total: int) -> Iterator[Card]:
    """Yield cards with a progress bar on the error stream, if that is a terminal."""
    console = Console(stderr=True)
    yield from track(cards, "drawing", total=total, console=console, transient=True, disable=not console.is_terminal)


_DIALOG = """\
<dialog aria-label="enlarged picture"><p><b id="zoomed"></b><span>wheel or + and -: size, drag: move, arrow keys: \
the pictures beside it</span><button type="button" id="close">close</button></p><div id="stage"></div></dialog>"""


@dataclass
class _Seen:
    """What the cards held: for every facet how many cards have a value, and the colours of the legend."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)

    def note(self, card: Card, layout: Layout) -> None:
        items = [item for panel in card.panels for item in panel.items]
        found = {(name, value) for item in items for name, value in item.facets.items()}
        found |= {(name, value) for name, values in card.facets.items() for value in values}
        for name, value in found:
            self.counts.setdefault(name, Counter())[value] += 1
        for item in items if layout.legend else ():
            self.colors.setdefault(item.facets[layout.legend or ""], item.color)


def _legend(layout: Layout, seen: _Seen) -> str:
    if layout.legend is None:
        return ""
    index = list(layout.item_facets).index(layout.legend)
    common = seen.counts.get(layout.legend, Counter()).most_common(MOST_LEGEND)
    chips = "".join(
        f'<button type="button" class="chip" data-select="f{index}" value="{escape(value)}" '
        f'style="--c:{seen.colors[value]};--on:{readable_on(seen.colors[value])}"><bdi>{escape(value)}</bdi> '
        f"{count}</button>"
        for value, count in common
    )
    rest = len(seen.colors) - len(common)
    more = f" <span>and {rest} more in the filter</span>" if rest > 0 else ""
    return f'<p class="legend" title="number of pictures; a click filters">{chips}{more}</p>'


def _toolbar(layout: Layout, seen: _Seen, total: int) -> str:
    boxes = [*((name, f"f{index}") for index, name in enumerate(layout.item_facets))]
    boxes += [(name, f"g{index}") for index, name in enumerate(layout.card_facets)]
    selects = "".join(_select(name, key, seen.counts.get(name, Counter())) for name, key in boxes)
    ways = ("lowest first", "highest first")
    orders = "".join(
        f'<option value="{index},{way}">{escape(name)}, {ways[way]}</option>'
        for index, name in enumerate(layout.orders)
        for way in (0, 1)
    )
    order = f'<label>order <select id="order"><option value="">as listed</option>{orders}</select></label>'
    return f"""\
<div id="tools" role="search">
<label>search <input type="search" id="search" placeholder="words, -without" title="key /"></label>
{selects}{order if layout.orders else ""}
<label>labels <select id="labels" title="key l"><option value="auto">auto</option>\
<option value="names">names</option><option value="numbers">numbers</option>\
<option value="none">none</option></select></label>
<label title="key s"><input type="checkbox" id="shapes" checked> shapes</label>
<button type="button" id="clear" title="key Escape">clear</button>
<output id="count" aria-live="polite">{total} of {total}</output>
</div>"""


def _select(name: str, key: str, counts: Counter[str]) -> str:
    if len(counts) < 2:  # nothing to choose from
        return ""
    options = "".join(
        f'<option value="{escape(value)}">{escape(value)} ({count})</option>' for value, count in sorted(counts.items())
    )
    return f'<label>{escape(name)} <select id="{key}"><option value="">any</option>{options}</select></label>\n'


def _section(number: int, card: Card, layout: Layout, seen: _Seen) -> str:
    seen.note(card, layout)
    # values of a facet stand on lines of their own, they hold no line break
    facets = "".join(
        f' data-g{index}="{escape(chr(10).join(card.facets.get(name, ())))}"'
        for index, name in enumerate(layout.card_facets)
    )
    orders = "".join(
        f' data-o{index}="{card.orders[name]:.6g}"' for index, name in enumerate(layout.orders) if name in card.orders
    )
    return f"""\
<section id="p{number}"{facets}{orders}>
<h2><a href="#p{number}">{number}</a> {escape(card.heading)} <span>{escape(card.name)}</span>\
{"".join(f' <b class="differs">{escape(text)}</b>' for text in card.stress)}</h2>
<p class="origin">{escape(card.origin)}</p>
{_faults(card)}<div class="sides">
{"".join(_panels(number, card, layout))}</div>
{"".join(_details(title, text) for title, text in card.texts)}
</section>"""


def _panels(number: int, card: Card, layout: Layout) -> Iterator[str]:
    held: list[tuple[Panel, str]] = []
    for index, panel in enumerate(card.panels):
        like = [(other, name) for other, name in held if other.image is panel.image and panel.image is not None]
        same = [name for other, name in like if other.exact == panel.exact]
        image_id = same[0] if same else f"i{number}-{index}"
        alt = f"{panel.heading} of {card.name}"
        yield render_panel(panel, alt=alt, facets=layout.item_facets, image_id=image_id, is_new=not same)
        held.append((panel, image_id))


def _faults(card: Card) -> str:
    items = "".join(
        f"<li><b>{escape(code)}</b> {escape(where)}: {escape(message)}</li>" for code, where, message in card.faults
    )
    return f'<ul class="faults">{items}</ul>\n' if items else ""


def _details(title: str, text: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
