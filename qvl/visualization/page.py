"""One HTML page that shows truth and prediction side by side; it needs no other file and no network."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from PIL import Image
from rich.console import Console
from rich.progress import track

from qvl.errors import RecordError
from qvl.metrics import CategoryResult
from qvl.records import category
from qvl.runtime import open_image
from qvl.visualization.drawing import Mark, draw_marks
from qvl.visualization.predictions import Prediction
from qvl.visualization.style import COLORS, STYLE
from qvl.visualization.verdicts import Outcome, PictureReport, Report, Verdict, shorten_label

__all__ = ["render_page"]

GRID = (1000.0, 1000.0)
MIN_WIDTH, MAX_SIDE = 640, 960  # small pictures are drawn larger, so that lines and numbers can be told apart
JPEG_QUALITY = 82
MOST_NUMBERS = 12  # of a shape in the list below a picture

_MEANING = {
    Outcome.MATCHED: "found: same category, enough overlap",
    Outcome.MISSED: "annotated, not found",
    Outcome.WRONG: "predicted, not there",
    Outcome.MALFORMED: "predicted, no possible shape",
}


def render_page(report: Report, pictures: Sequence[PictureReport], *, title: str) -> str:
    """Return a whole HTML document.

    Args:
        report: All pictures; the scores at the top are over all of them.
        pictures: Those to show, in this order.
        title: Name of the predictions.

    Raises:
        RecordError: A picture cannot be opened or has another size than its row says; with file and line.
    """
    console = Console(stderr=True)
    steps = track(pictures, "drawing", console=console, transient=True, disable=not console.is_terminal)
    cards = [_card(number, picture) for number, picture in enumerate(steps, 1)]
    parts = [_header(report, pictures, title), *cards]
    return _DOCUMENT.format(title=_text(title), style=STYLE, body="\n".join(parts))


# Nothing is fetched even if a text of the model were taken for markup.
_DOCUMENT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _header(report: Report, pictures: Sequence[PictureReport], title: str) -> str:
    return f"""\
<header>
<h1>{_text(title)}</h1>
<p class="tiles">{"".join(_tiles(report))}</p>
<p>A prediction matches an annotated object of the same category from an overlap of {report.threshold:g} on; \
for lines that is the overlap of tubes of half width {report.line_tolerance:g} on the 0..1000 grid.</p>
<p class="legend">{"".join(_legend())}</p>
<div class="tables">{_categories(report)}{_faults(report)}</div>
{_index(report, pictures)}
</header>"""


def _tiles(report: Report) -> Iterator[str]:
    scores, total = report.scores, report.scores.num_images
    sound = sum(not picture.prediction.faults for picture in report.pictures)
    found = [verdict for picture in report.pictures for verdict in picture.truth]
    matched = [verdict for verdict in found if verdict.outcome is Outcome.MATCHED]
    same = sum(not verdict.desc_differs for verdict in matched)
    yield _tile("F1", f"{scores.f1:.3f}", f"{scores.num_matched} matched")
    yield _tile("precision", f"{scores.precision:.3f}", f"of {scores.num_predicted} predicted")
    yield _tile("recall", f"{scores.recall:.3f}", f"of {scores.num_truth} annotated")
    yield _tile("answers without a fault", f"{sound / total:.3f}", f"{sound} of {total} pictures")
    share = f"{same / len(matched):.3f}" if matched else "-"
    yield _tile("same description", share, f"{same} of {len(matched)} matched")


def _tile(name: str, value: str, remark: str) -> str:
    return f'<span class="tile"><b>{value}</b>{name}<small>{remark}</small></span>'


def _legend() -> Iterator[str]:
    for outcome, meaning in _MEANING.items():
        yield f"<span>{_chip(outcome, outcome.value)} {meaning}</span>"


def _chip(outcome: Outcome, text: str) -> str:
    return f'<b class="chip {outcome.value}">{_text(text)}</b>'


def _categories(report: Report) -> str:
    rows = sorted(report.scores.per_category.items(), key=lambda pair: (pair[1].f1, pair[0]))
    head = ("category", "F1", "precision", "recall", "annotated", "predicted", "matched")
    return _table("Categories", head, [_category_cells(name, result) for name, result in rows])


def _category_cells(name: str, result: CategoryResult) -> list[str]:
    scores = [f"{score:.3f}" for score in (result.f1, result.precision, result.recall)]
    return [name, *scores, *map(str, (result.num_truth, result.num_predicted, result.num_matched))]


def _faults(report: Report) -> str:
    """Count the pictures whose answer has a fault, by kind."""
    pictures = [picture.prediction for picture in report.pictures]
    kinds = Counter(code for picture in pictures for code in {fault.code for fault in picture.faults})
    kinds["cut off by the limit of tokens"] = sum(picture.finish_reason == "length" for picture in pictures)
    kinds["an object without a possible shape"] = sum(
        any(verdict.outcome is Outcome.MALFORMED for verdict in picture.predicted) for picture in report.pictures
    )
    rows = [[code, str(count)] for code, count in kinds.most_common() if count]
    return _table("Faults of the answers", ("fault", "pictures"), rows or [["none", "0"]])


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div><table><caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _index(report: Report, pictures: Sequence[PictureReport]) -> str:
    links = "".join(
        f'<a href="#p{number}" style="--f1:{picture.scores.f1:.3f}">{number}<small>{picture.scores.f1:.2f}</small></a>'
        for number, picture in enumerate(pictures, 1)
    )
    return f"<h2>{len(pictures)} of {len(report.pictures)} pictures, with their F1</h2>\n<nav>{links}</nav>"


def _card(number: int, picture: PictureReport) -> str:
    prediction, scores = picture.prediction, picture.scores
    image = _open(prediction)
    size = f"{prediction.width} x {prediction.height} pixels"
    name = PurePath(prediction.image).name
    return f"""\
<section id="p{number}">
<h2><a href="#p{number}">{number}</a> F1 {scores.f1:.2f} <span>{_text(name)}</span></h2>
<p class="origin">{_text(prediction.source)}, {size}; {_text(prediction.where)}</p>
<div class="sides">
{_side("Truth", f"{scores.num_matched} of {scores.num_truth} found", image, picture.truth, name)}
{_side("Prediction", f"{scores.num_matched} of {scores.num_predicted} right", image, picture.predicted, name)}
</div>
{_answer(prediction)}
</section>"""


def _side(heading: str, count: str, image: Image.Image, verdicts: Sequence[Verdict], name: str) -> str:
    items = "".join(_item(number, verdict) for number, verdict in enumerate(verdicts, 1))
    listed = f"<ol>{items}</ol>" if items else '<p class="empty">no objects</p>'
    source = f"data:image/jpeg;base64,{_drawn(image, verdicts)}"
    return f"""\
<div>
<h3>{heading} <small>{count}</small></h3>
<img alt="{heading} of {_text(name)}" width="{image.width}" height="{image.height}" src="{source}">
{listed}
</div>"""


def _item(number: int, verdict: Verdict) -> str:
    item, outcome = verdict.item, verdict.outcome
    shown = ", ".join(f"{value:.0f}" for value in item.numbers[:MOST_NUMBERS])
    rest = f", ... ({len(item.numbers)} numbers)" if len(item.numbers) > MOST_NUMBERS else ""
    differs = ' <b class="differs">other description</b>' if verdict.desc_differs else ""
    return (
        f'<li>{_chip(outcome, str(number))}<div><bdi class="desc">{_text(item.desc)}</bdi> '
        f"<span>{outcome.value}: {_text(verdict.note)}{differs}</span> "
        f"<code>{item.key} [{shown}{rest}]</code></div></li>"
    )


def _answer(prediction: Prediction) -> str:
    items = (f"<b>{_text(fault.code)}</b> {_text(fault.where)}: {_text(fault.message)}" for fault in prediction.faults)
    faults = "".join(f"<li>{item}</li>" for item in items)
    listed = f'<ul class="faults">{faults}</ul>' if faults else ""
    ending = " (cut off by the limit of tokens)" if prediction.finish_reason == "length" else ""
    return (
        f"{listed}<details><summary>the answer as the model wrote it{ending}</summary>"
        f"<pre>{_text(prediction.completion)}</pre></details>"
    )


def _open(prediction: Prediction) -> Image.Image:
    """Open the picture of a row and bring it to the size of the page."""
    try:
        image = open_image(prediction.image)
    except RecordError as error:
        raise RecordError(f"{prediction.where}: image: {error}") from error
    if image.size != (prediction.width, prediction.height):
        raise RecordError(
            f"{prediction.where}: image: {prediction.image} has {image.width} x {image.height} pixels, "
            f"the row says {prediction.width} x {prediction.height}; was the picture replaced?"
        )
    factor = min(max(1.0, MIN_WIDTH / image.width), MAX_SIDE / max(image.size))
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def _drawn(image: Image.Image, verdicts: Sequence[Verdict]) -> str:
    """Return the picture with its objects as base64 of a JPEG with full colour: colour tells the outcome."""
    marks = [
        Mark(verdict.shape, COLORS[verdict.outcome], str(number), shorten_label(category(verdict.item.desc)))
        for number, verdict in enumerate(verdicts, 1)
        if verdict.shape is not None
    ]
    buffer = io.BytesIO()
    drawn = draw_marks(image, marks, extent=GRID)
    drawn.save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _text(value: object) -> str:
    """Return text for HTML; control characters, which a browser would hide, become visible symbols."""
    return html.escape(str(value).translate(_VISIBLE))


_VISIBLE = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {0x7F: "\u2421"}
