"""Plots and tables of the statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from qvl.inspection.plots import bars_of, draw_bars, draw_map, escape, fine_bars
from qvl.inspection.statistics import Statistics, aspect_of, extent_of
from qvl.inspection.tally import Numbers, Words

__all__ = ["plots", "table", "words"]

_TOP = 25
_TOP_VALUES = 12
_MOST_KEYS = 12


def plots(statistics: Statistics, *, limit: int) -> str:
    """Return a plot of everything that was counted.

    Args:
        statistics: Of all files.
        limit: Most tokens of a row; what is longer stands out.
    """
    return f'<div class="plots">\n{"".join(_plots(statistics, limit))}</div>' if statistics.rows.value else ""


def words(statistics: Statistics) -> str:
    """Return tables of categories, shapes, sizes of pictures, descriptions and the values of their keys."""
    tables = [
        _ranking("Categories", statistics.categories, _TOP),
        _ranking("Shapes", statistics.shapes, _TOP),
        _ranking("Sizes of pictures", statistics.sizes, _TOP),
        _ranking("Descriptions", statistics.descs, _TOP),
        *_values(statistics.pairs),
    ]
    found = [text for text in tables if text]
    return f'<div class="tables">\n{"".join(found)}</div>' if found else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Collection[int], caption: str = "") -> str:
    """Return a table.

    Args:
        head: Plain texts.
        rows: Cells as HTML.
        numbers: Columns that are aligned to the right.
        caption: Plain text above it.
    """
    kinds = [' class="number"' if place in numbers else "" for place in range(len(head))]
    top = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, head, strict=True))
    body = "\n".join(
        f"<tr>{''.join(f'<td{kind}>{cell}</td>' for kind, cell in zip(kinds, row, strict=True))}</tr>" for row in rows
    )
    name = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{name}<thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _plots(statistics: Statistics, limit: int) -> Iterator[str]:
    tokens = statistics.tokens
    over = tokens.above(limit)
    remark = f"; {over:,} above global_max_length = {limit:,}, in red" if over else f"; none above {limit:,}"
    yield _plot("Tokens of a row alone", tokens, unit="tokens, prompt included", remark=remark, limit=limit)
    yield _plot("Tokens of an answer", statistics.answer_tokens, unit="tokens")
    yield _plot("Tokens of a picture", statistics.picture_tokens, unit="tokens")
    yield _plot("Objects of a picture", statistics.objects, unit="objects")
    if statistics.extents.counts:
        bars = fine_bars(dict(statistics.extents.counts), upper=extent_of, tell=lambda share: f"{100 * share:.2g}%")
        yield _framed(
            "Size of objects", "the longer side, as a share of the picture", draw_bars("sizes", bars, unit="share")
        )
    if statistics.aspects.counts:
        bars = fine_bars(dict(statistics.aspects.counts), upper=aspect_of, tell=lambda ratio: f"{ratio:.2g}")
        yield _framed("Form of objects", "below 1 tall, above 1 wide", draw_bars("forms", bars, unit="width / height"))
    yield _plot("Shorter side as the model sees it", _capped(statistics.model_sides), unit="pixels")
    yield _plot("Length of a description", statistics.desc_characters, unit="characters")
    yield _plot("Vertices of polygons and lines", _capped(statistics.vertices), unit="vertices")
    if statistics.centers.cells.any():
        yield _framed(
            "Where the centres of objects lie",
            "the whole picture; darker is more",
            draw_map("centres", statistics.centers.cells),
        )


def _capped(numbers: Numbers) -> Numbers:
    """Return the numbers without the far tail: what lies beyond the 99th percentile is counted at its double."""
    if not numbers.counts:
        return numbers
    most, capped = max(4, 2 * numbers.quantile(0.99)), Numbers()
    for value, count in numbers.counts.items():
        capped.counts[min(value, most)] += count
    return capped


def _plot(heading: str, numbers: Numbers, *, unit: str, remark: str = "", limit: int | None = None) -> str:
    if not numbers.counts:
        return ""
    told = (
        f"median {numbers.quantile(0.5):,}, 95 % up to {numbers.quantile(0.95):,}, most {max(numbers.counts):,}{remark}"
    )
    bars = bars_of(dict(numbers.counts), limit=limit)
    return _framed(heading, told, draw_bars(heading, bars, unit=unit))


def _framed(heading: str, remark: str, svg: str) -> str:
    return f"<div><h3>{escape(heading)}</h3><p>{escape(remark)}</p>{svg}</div>\n"


def _ranking(caption: str, counted: Words, most: int) -> str:
    if not counted.counts:
        return ""
    total = counted.counts.total() + counted.forgotten
    top = counted.top(most)
    rows = [[escape(_cut(word)), f"{count:,}", f"{count / total:.1%}", _bar(count / top[0][1])] for word, count in top]
    more = len(counted.counts) - len(top)
    unknown = " and rarer ones" if counted.forgotten else ""
    caption = f"{caption}, the first {len(top)} of {len(counted.counts):,}{unknown}" if more else caption
    return table(["", "count", "share", ""], rows, numbers=(1, 2), caption=caption)


def _values(pairs: Words) -> Iterator[str]:
    """Yield a table of the values of each key, the most frequent keys first."""
    by_key: dict[str, Words] = defaultdict(Words)
    for pair, count in pairs.top(len(pairs.counts)):
        key, _, value = pair.partition("=")
        by_key[key].counts[value] += count
    ranked = sorted(by_key.items(), key=lambda item: (-item[1].counts.total(), item[0]))
    for key, values in ranked[:_MOST_KEYS]:
        yield _ranking(f"{_cut(key)} =", values, _TOP_VALUES)


def _bar(share: float) -> str:
    return f'<span class="share" style="width: {max(0.15, 6 * share):.2f}rem"></span>'


def _cut(text: str, most: int = 80) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
