"""Checks of one encoded sample, just before the model sees it.

Each check returns what it found wrong, an empty list if nothing; `run_checks` makes an error of all findings together.
The codes:

- `check_placeholders`: `num_grids`, `num_runs`, `run_length`
- `check_pixels`: `pixel_rows`
- `check_labels`: `label_length`, `nothing_supervised`, `prompt_supervised`, `image_supervised`, `label_gap`,
  `label_value`
- `check_answer`: `answer_text`, `answer_end`
- `check_grid`: `coordinate_count`, `coordinate_range`, `coordinate_value`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qvl.errors import HealthError

Tokens: TypeAlias = npt.NDArray[np.int64]

IGNORED: Final = -100
"""Label of a token that is not trained on."""


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """Something wrong with an encoded sample.

    Attributes:
        code: One of the codes in the module's list.
        message: What came and what was expected.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class EncodedSample:
    """What the chat template made of one conversation, as far as it is checked.

    Attributes:
        input_ids: (T,) int64 token ids, before padding; a list is converted.
        labels: (T,) int64, -100 where nothing is trained; a list is converted.
        image_token_id: Id of the placeholder that stands for one merged patch.
        grids: (t, h, w) in patches, one for each image, in order.
        num_pixel_rows: Rows of `pixel_values`, one per patch.
        merge_size: Patches along each side that are merged to one token.
        num_images: Images that were attached to the conversation.
    """

    input_ids: Tokens
    labels: Tokens
    image_token_id: int
    grids: Sequence[tuple[int, int, int]]
    num_pixel_rows: int
    merge_size: int
    num_images: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "input_ids", np.asarray(self.input_ids, dtype=np.int64))
        object.__setattr__(self, "labels", np.asarray(self.labels, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class GroundedObject:
    """The coordinates of one object as the text gives them, beside the pixels they were made from.

    Attributes:
        numbers: x1, y1, x2, y2, ... of the text, in grid units; pixels if there is no grid.
        pixels: x1, y1, x2, y2, ... handed to the template in `objects["bbox"]`, pixel edges.
        width: Width in pixels of the image as the template loaded it.
        height: Height, likewise.
    """

    numbers: Sequence[float]
    pixels: Sequence[float]
    width: int
    height: int


def check_placeholders(sample: EncodedSample) -> list[HealthFinding]:
    """Check that every image has its run of placeholders, as long as its grid of merged patches.

    Args:
        sample: The encoded sample; runs of different images have other tokens between them.

    Returns:
        Findings `num_grids`, `num_runs`, `run_length`.
    """
    findings = []
    if len(sample.grids) != sample.num_images:
        message = f"{sample.num_images} images were attached, but image_grid_thw has {len(sample.grids)} rows"
        findings.append(HealthFinding("num_grids", message))
    runs = _run_lengths(sample.input_ids == sample.image_token_id)
    if len(runs) != len(sample.grids):
        message = f"{len(runs)} runs of image tokens for {len(sample.grids)} rows of image_grid_thw"
        return [*findings, HealthFinding("num_runs", message)]
    for number, (run, (t, h, w)) in enumerate(zip(runs, sample.grids, strict=True), start=1):
        if run * sample.merge_size**2 != t * h * w:
            message = f"image {number}: {run} image tokens for a grid of {t}x{h}x{w}, merged by {sample.merge_size}"
            findings.append(HealthFinding("run_length", message))
    return findings


def check_pixels(sample: EncodedSample) -> list[HealthFinding]:
    """Check that there are as many pixel rows as patches.

    Args:
        sample: The encoded sample.

    Returns:
        Finding `pixel_rows`.
    """
    expected = sum(t * h * w for t, h, w in sample.grids)
    if sample.num_pixel_rows == expected:
        return []
    message = f"pixel_values has {sample.num_pixel_rows} rows, image_grid_thw asks for {expected}"
    return [HealthFinding("pixel_rows", message)]


def check_labels(sample: EncodedSample) -> list[HealthFinding]:
    """Check that the answer, all of it and nothing else, is trained on.

    What can be seen without the text: labels repeat the tokens, images and what stands before them are masked, and the
    supervised tokens reach without a gap to the end. That they are the answer and no more, `check_answer` sees.

    Args:
        sample: The encoded sample.

    Returns:
        Findings `label_length`, `nothing_supervised`, `prompt_supervised`, `image_supervised`, `label_gap`,
        `label_value`.
    """
    tokens, labels = sample.input_ids, sample.labels
    if labels.shape != tokens.shape:
        return [HealthFinding("label_length", f"{len(labels)} labels for {len(tokens)} tokens")]
    supervised = labels != IGNORED
    if not supervised.any():
        return [HealthFinding("nothing_supervised", f"all {len(labels)} labels are {IGNORED}")]
    images = tokens == sample.image_token_id
    first = int(supervised.argmax())
    prompt_end = int(images.nonzero()[0][-1]) if images.any() else 0
    findings = []
    if first <= prompt_end:
        message = f"label {first} is supervised, the prompt reaches to token {prompt_end} at least"
        findings.append(HealthFinding("prompt_supervised", message))
    for code, wrong, meaning in (
        ("image_supervised", supervised & images, "supervised image tokens"),
        ("label_gap", ~supervised & (np.arange(len(labels)) > first), f"labels {IGNORED} after the first supervised"),
        ("label_value", supervised & (labels != tokens), "supervised labels that differ from their token"),
    ):
        if wrong.any():
            findings.append(HealthFinding(code, f"{int(wrong.sum())} {meaning}, the first at {int(wrong.argmax())}"))
    return findings


def check_answer(decoded: str, answer: str, end: str) -> list[HealthFinding]:
    """Check that the supervised tokens say the answer and its end of turn, character by character.

    Args:
        decoded: Text of the supervised tokens, special tokens kept.
        answer: Text that the conversation asked to train.
        end: What ends the turn, such as "<|im_end|>" and a newline.

    Returns:
        Findings `answer_text`, `answer_end`.
    """
    if decoded == answer + end:
        return []
    if not decoded.endswith(end):
        return [HealthFinding("answer_end", f"the supervised text ends with {decoded[-30:]!r}, expected {end!r}")]
    text = decoded.removesuffix(end)
    at = next((i for i, (a, b) in enumerate(zip(text, answer, strict=False)) if a != b), min(len(text), len(answer)))
    around = slice(max(at - 15, 0), at + 15)
    message = f"the supervised text differs from character {at}: {text[around]!r}, expected {answer[around]!r}"
    return [HealthFinding("answer_text", message)]


def check_grid(objects: Sequence[GroundedObject], *, grid: int | None) -> list[HealthFinding]:
    """Check that the coordinates in the text are the pixels as the template itself would write them.

    The template's rule is `int(round(x / width * 1000))`: halves go to the even number and nothing is clamped. Ours
    rounds halves up and clamps; those two differences are allowed, no other.

    Args:
        objects: Every object of the answer, in any order.
        grid: Number of cells along each side; None where the text holds pixels.

    Returns:
        Findings `coordinate_count`, `coordinate_range`, `coordinate_value`, at most one of each per object.
    """
    return [finding for number, row in enumerate(objects, start=1) for finding in _check_object(number, row, grid)]


def run_checks(
    sample: EncodedSample,
    *,
    decoded: str,
    answer: str,
    end: str,
    objects: Sequence[GroundedObject],
    grid: int | None,
    where: str,
) -> None:
    """Run every check of this module on one sample.

    Args:
        sample: The encoded sample.
        decoded: See `check_answer`.
        answer: See `check_answer`.
        end: See `check_answer`.
        objects: See `check_grid`.
        grid: See `check_grid`.
        where: The sample's name in the error, such as the file and line of its record.

    Raises:
        HealthError: If anything was found; its text lists all findings.
    """
    findings = [
        *check_placeholders(sample),
        *check_pixels(sample),
        *check_labels(sample),
        *check_answer(decoded, answer, end),
        *check_grid(objects, grid=grid),
    ]
    if findings:
        lines = [f"  {finding.code}: {finding.message}" for finding in findings]
        raise HealthError("\n".join([f"{where}: the encoded sample is not what was asked for:", *lines]))


def check_chat(supervised: Sequence[str], answers: Sequence[str], *, end: str, where: str) -> None:
    """Check that the answers of a conversation without pictures, and nothing else, are trained on.

    Args:
        supervised: Text of every run of supervised tokens.
        answers: Texts of the assistant, in order.
        end: What ends a turn; the tokens of it may be trained on or not.
        where: The sample's name in the error.

    Raises:
        HealthError: Another text is trained on.
    """
    spoken = [text.removesuffix(end).removesuffix(end.rstrip()) for text in supervised]
    if spoken != list(answers):
        raise HealthError(f"{where}: answer_text: trained on are {spoken}, expected {list(answers)}")


def _run_lengths(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Return the lengths of the runs of True, in order."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    lengths: list[int] = (edges[1::2] - edges[::2]).tolist()
    return lengths


def _check_object(number: int, row: GroundedObject, grid: int | None) -> list[HealthFinding]:
    if len(row.numbers) != len(row.pixels):
        message = f"object {number}: {len(row.numbers)} numbers in the text for {len(row.pixels)} pixel coordinates"
        return [HealthFinding("coordinate_count", message)]
    outside, wrong = [], []
    for index, (written, pixel) in enumerate(zip(row.numbers, row.pixels, strict=True)):
        side = row.height if index % 2 else row.width
        if not 0 <= written <= (grid or side):
            outside.append(written)
        elif not (written == pixel if grid is None else _agrees(written, pixel / side * grid, grid)):
            wrong.append((written, pixel))
    findings = []
    if outside:
        message = f"object {number}: {outside} lie outside the range, which is {_range(row, grid)}"
        findings.append(HealthFinding("coordinate_range", message))
    if wrong:
        pairs = ", ".join(f"{written} for pixel {pixel}" for written, pixel in wrong)
        message = f"object {number}: {pairs}, in {row.width}x{row.height} pixels and a range of {_range(row, grid)}"
        findings.append(HealthFinding("coordinate_value", message))
    return findings


def _agrees(written: float, exact: float, grid: int) -> bool:
    """Tell whether a number in range is the template's own, clamped, or the upper neighbour of an exact half."""
    template = round(exact)
    clamped = min(max(template, 0), grid)
    return written == clamped or (exact - template == 0.5 and written == template + 1)


def _range(row: GroundedObject, grid: int | None) -> str:
    return f"0..{grid}" if grid is not None else f"0..{row.width} by 0..{row.height}"
