"""Tokens of the rows of one source: counted by all processes together, once for all runs that would count the same."""

from __future__ import annotations

import hashlib
import json
import pickle
import pickletools
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

import qvl
from qvl.augmentation import Compose
from qvl.data import SourcePart
from qvl.errors import RecordError
from qvl.records import Record
from qvl.runtime.distributed import cpus_of_process, rank_from_environment, together
from qvl.runtime.kept import forget_oldest, read_kept, write_kept
from qvl.runtime.progress import progress_bar
from qvl.runtime.workers import in_order
from qvl.training.encoding import ConversationEncoder

__all__ = ["Counts", "count_rows", "row_tokens"]

_BLOCK: Final = 512
_FEW: Final = 2 * _BLOCK
"""Rows that one process has counted sooner than others are started."""

_MOST_FILES: Final = 256
_INNOCENT: Final = (
    "qvl",
    "__builtin__",
    "builtins",
    "collections",
    "copy_reg",
    "copyreg",
    "numpy",
    "pathlib",
    "_codecs",
)
"""Modules whose classes do the same in every run with the same state, the same versions and the same code of qvl."""

Pairs = npt.NDArray[np.int32]


class Counts(NamedTuple):
    """What is known of the rows of a source.

    Attributes:
        pairs: (N, 2) tokens of the answer and of the picture of each row in use.
        refused: How many rows a transform leaves alone for their words, by its name.
    """

    pairs: Pairs
    refused: Counter[str]


def count_rows(part: SourcePart, encoder: ConversationEncoder) -> Counts:
    """Count the tokens of the rows of a source; all processes of a run have to call it, each takes a share.

    What was counted is kept in the cache of the data, if they have one, under a digest of all it depends on: content
    of the file and rows in use, preprocessor, builder with its prompts, transforms, sizes of pictures, tokenizer,
    and the code of qvl. Pictures themselves are not part of it: their sizes stand in the rows, and the check of the
    pictures compares them. Rows of chat, and what a class from outside qvl makes, are counted anew in each run.

    Raises:
        QvlError: A row cannot be counted; in every process.
    """
    rank, folder = rank_from_environment(), None if part.rows.cache is None else part.rows.cache / "lengths"

    def known() -> tuple[Path | None, Counts | None]:
        if folder is None or not rank.is_main:
            return None, None
        key = _key(part, encoder)
        path = None if key is None else folder / key
        return path, None if path is None else _read(path, len(part.rows))

    told = together(known)
    path, counts = told[0]
    if counts is not None:
        return counts
    share = np.array_split(np.arange(len(part.rows)), len(told))[rank.rank if len(told) > 1 else 0]
    counts = _joined(together(partial(_counted, part, encoder, share.tolist(), shown=rank.is_main)))
    if path is not None and rank.is_main:
        _write(path, counts)
    return counts


def row_tokens(part: SourcePart, encoder: ConversationEncoder, record: Record) -> tuple[int, int]:
    """Return (tokens of the answer, tokens of the picture); a row of chat is encoded wholly."""
    if part.builder.mode == "chat":
        return encoder.chat_tokens(part.builder.build(record)), 0
    answer = part.builder.answer_to_count(record)
    try:
        return encoder.text_tokens(answer), encoder.picture_tokens(record.width, record.height)
    except ValueError as error:
        raise RecordError(f"{record.source}: width: the model cannot be shown this picture: {error}") from error


def _counted(part: SourcePart, encoder: ConversationEncoder, rows: Sequence[int], *, shown: bool) -> Counts:
    """Count some rows on the processors that this process has."""
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    processes = 1 if len(rows) <= _FEW else cpus_of_process()
    found = []
    with progress_bar(auto_refresh=False) as bar:
        task = bar.add_task(f"measuring {part.name}", total=len(rows), visible=shown)
        for counts in in_order(partial(_block, part, encoder), blocks, processes=processes):
            found.append(counts)
            bar.update(task, advance=len(counts.pairs), refresh=True)
    return _joined(found)


def _block(part: SourcePart, encoder: ConversationEncoder, rows: Sequence[int]) -> Counts:
    pairs, refused = [], Counter[str]()
    for row in rows:
        record = part.rows[row]
        pairs.append(row_tokens(part, encoder, record))
        refused.update(part.augmentation.refused(record) if part.augmentation else ())
    return Counts(np.array(pairs, dtype=np.int32).reshape(-1, 2), refused)


def _joined(counts: Iterable[Counts]) -> Counts:
    pairs, refused = [np.empty((0, 2), dtype=np.int32)], Counter[str]()
    for one in counts:
        pairs.append(one.pairs)
        refused.update(one.refused)
    return Counts(np.concatenate(pairs), refused)


def _read(path: Path, rows: int) -> Counts | None:
    content = read_kept(path)
    if content is None:
        return None
    refused, _, pairs = content.partition(b"\n")
    return Counts(np.frombuffer(pairs, dtype=np.int32).reshape(rows, 2), Counter(json.loads(refused)))


def _write(path: Path, counts: Counts) -> None:
    write_kept(path, json.dumps(counts.refused).encode() + b"\n" + counts.pairs.tobytes())
    forget_oldest(path.parent, most=_MOST_FILES)


def _key(part: SourcePart, encoder: ConversationEncoder) -> str | None:
    """Return a digest of all that the counts depend on; None where that cannot be told."""
    if part.builder.mode == "chat":  # encoded wholly, by code that is not ours
        return None
    augmentation = part.augmentation
    made_by = _state([part.builder, part.rows.preprocessor, encoder.form, _words_of(augmentation)])
    tokenizer = _tokenizer_digest(encoder.template.tokenizer)
    if made_by is None or tokenizer is None or not (augmentation is None or type(augmentation) is Compose):
        return None
    rows = hashlib.sha256(part.rows.kept.tobytes()).hexdigest()
    parts = [part.rows.lines.sha256(), rows, part.rows.mode, made_by, tokenizer, _code_digest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _words_of(augmentation: object) -> object:
    """Return what decides which rows a transform leaves alone; how often it is applied does not."""
    return dict(augmentation.transforms) if isinstance(augmentation, Compose) else None


def _state(value: object) -> str | None:
    """Return a digest of an object with all that it holds; None if something in it is not of a module known to us."""
    try:
        content = pickle.dumps(value, protocol=2)  # names each class by an operation of its own
    except (pickle.PicklingError, TypeError, AttributeError):
        return None
    named = [str(argument) for operation, argument, _ in pickletools.genops(content) if operation.name == "GLOBAL"]
    if any(name.partition(" ")[0].partition(".")[0] not in _INNOCENT for name in named):
        return None
    return hashlib.sha256(content).hexdigest()


def _tokenizer_digest(tokenizer: Any) -> str | None:
    """Return a digest of vocabulary, merges, rules and added tokens; None for a tokenizer written in Python."""
    import tokenizers
    import transformers

    if not isinstance(tokenizer, transformers.PreTrainedTokenizerFast):
        return None
    versions = f"{transformers.__version__} {tokenizers.__version__} {type(tokenizer).__qualname__}"
    return hashlib.sha256(f"{versions}\n{tokenizer.backend_tokenizer.to_str()}".encode()).hexdigest()


@cache
def _code_digest() -> str:
    """Return a digest of the code of qvl: a later version may write answers differently."""
    digest = hashlib.sha256()
    for path in sorted(Path(qvl.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
