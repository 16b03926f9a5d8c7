"""What a run computes step by step: lengths of its turns, its batches, and how well they fill the devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qvl.data import Ticket, TurnDataset
from qvl.data.batching import useful_share
from qvl.planning import Architecture, Batch, Tuning, step_flops
from qvl.training.encoding import ConversationEncoder
from qvl.training.kept_lengths import row_tokens
from qvl.training.lengths import PartLengths, TurnLengths
from qvl.training.sampling import TurnBatches

__all__ = ["EstimatingEncoder", "LoadPlan", "plan_load", "sampled_lengths", "sampled_rows"]

_MEASURED = 2_000  # rows of a source that are tokenised; so many in a few seconds
_FIELDS = ("tokens", "token_pairs", "labelled", "patches", "patch_pairs")


class EstimatingEncoder(ConversationEncoder):
    """Guesses how many tokens Qwen's own tokenizer makes of a text where only the shipped one is at hand.

    Both split a text into the same words, digits and signs. Qwen's knows nearly all words; so a word of letters counts
    one token, a long one a few, Chinese four fifths of its characters. Of answers with coordinates that is within 3 %,
    of prompts within 12 %.
    """

    def text_tokens(self, text: str) -> int:
        """Return about the number of tokens of a text that stands alone in its turn."""
        words = self.template.tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
        return sum(_word_tokens(text[start:end]) for _, (start, end) in words)


def _word_tokens(word: str) -> int:
    chinese = sum(sign > "\u2e7f" for sign in word)
    if chinese:
        return max(1, round(0.8 * chinese))
    bare = word.strip()
    return 1 + max(0, (len(bare) - 7) // 6 if bare.isalpha() else (len(bare) - 3) // 3)


@dataclass(frozen=True, slots=True, eq=False)
class LoadPlan:
    """The batches of the first epoch and what follows from them; the others are of the same kind.

    Attributes:
        turns: User turns of an epoch.
        steps: Optimiser steps of the whole run.
        steps_per_epoch: Of one epoch.
        useful: Share of the machine's work that goes into real tokens.
        tokens: Real tokens of an epoch.
        longest: Tokens of the longest turn.
        work: (M, world_size, 5) what each process computes in each micro step, in the order of the fields of `Batch`.
        largest: A batch that none of any epoch exceeds in anything.
    """

    turns: int
    steps: int
    steps_per_epoch: int
    useful: float
    tokens: int
    longest: int
    work: np.ndarray
    largest: Batch

    def epoch_flops(self, model: Architecture, tuning: Tuning) -> tuple[float, float, float]:
        """Return operations of an epoch: needed for real and padded tokens, done, and done if all were the slowest.

        The processes wait for the slowest in every micro step; so the last figure is what takes time.
        """
        units = [step_flops(model, Batch(**{name: float(name == own) for name in _FIELDS}), tuning) for own in _FIELDS]
        done = self.work @ np.array([unit.total for unit in units])
        needed = self.work @ np.array([unit.model for unit in units])
        return float(needed.sum()), float(done.sum()), float(done.max(axis=1, initial=0).sum() * done.shape[1])


def sampled_rows(count: int) -> np.ndarray:
    """Return the positions of the rows that are measured, at even distances; all of a short file."""
    return np.linspace(0, count - 1, min(count, _MEASURED)).round().astype(int)


def sampled_lengths(dataset: TurnDataset, encoder: ConversationEncoder) -> tuple[TurnLengths, int]:
    """Measure rows at even distances; the rows between have the lengths of their neighbours.

    Returns:
        The lengths, and how many rows were measured.
    """
    measured = [_part_lengths(number, dataset, encoder) for number in range(len(dataset.parts))]
    return TurnLengths(dataset, encoder, [lengths for lengths, _ in measured]), sum(count for _, count in measured)


def plan_load(batches: TurnBatches) -> LoadPlan:
    """Add up what each process computes in the first epoch, dealt as a run deals it; augmentation is left out.

    Args:
        batches: Of any process, with the lengths of the turns.
    """
    plan, tickets = batches.plan(0), batches.dataset.plan(0)
    turns = np.array([_turn(tickets.ticket(number), batches.lengths) for number in range(len(tickets))]).reshape(-1, 4)
    return LoadPlan(
        turns=len(tickets),
        steps=batches.total_steps,
        steps_per_epoch=batches.steps_per_epoch,
        useful=useful_share(plan, turns[:, 0]),
        tokens=int(turns[:, 0].sum()),
        longest=int(turns[:, 0].max(initial=0)),
        work=_work(plan.turns, turns, per_token=4),
        largest=_largest(turns, batches.batch_size, per_token=4),
    )


def _part_lengths(number: int, dataset: TurnDataset, encoder: ConversationEncoder) -> tuple[PartLengths, int]:
    part = dataset.parts[number]
    rows = sampled_rows(len(part.rows))
    count = len(rows)
    pairs = np.array([row_tokens(part, encoder, part.rows[row]) for row in rows.tolist()], dtype=np.int64)
    nearest = np.abs(np.searchsorted((rows[:-1] + rows[1:]) / 2, np.arange(len(part.rows))))
    text, pictures = pairs.reshape(-1, 2)[nearest].T
    if part.builder.mode == "chat":
        return PartLengths(text, pictures, 0), count
    turn = part.turn(Ticket(epoch=0, source=number, rows=(0,), copies=(0,), augment=False))
    with encoder.without_limit():
        whole = len(encoder.encode(turn, check=False)["input_ids"])
    exact = ConversationEncoder(encoder.template, encoder.form)
    texts = _prompts(turn.inputs["messages"])
    guessed = sum(encoder.text_tokens(said) - exact.text_tokens(said) for said in texts)
    answer, picture = row_tokens(part, exact, part.rows[0])
    return PartLengths(text, pictures, whole - answer - picture + guessed), count


def _prompts(messages: Sequence[object]) -> list[str]:
    """Return the texts of a conversation that are not the assistant's."""
    found = []
    for message in messages:
        match message:
            case {"role": "system" | "user", "content": str(text)}:
                found.append(text)
            case {"role": "system" | "user", "content": [*parts]}:
                found += [part["text"] for part in parts if isinstance(part, dict) and "text" in part]
    return found


def _turn(ticket: Ticket, lengths: TurnLengths) -> tuple[int, int, int, int]:
    """Return tokens of a turn, those of its answer, its visual tokens, and the sum of their squares by picture."""
    own, rows = lengths.parts[ticket.source], list(ticket.rows)
    visual = own.pictures[rows]
    return lengths.unchanged(ticket), int(own.text[rows].sum()), int(visual.sum()), int((visual**2).sum())


def _work(turns: np.ndarray, lengths: np.ndarray, *, per_token: int) -> np.ndarray:
    """Return (M, world_size, 5) fields of `Batch`.

    Args:
        turns: (M, world_size, batch_size) numbers of turns, -1 where there is none.
        lengths: (T, 4) see `_turn`.
        per_token: Patches of a visual token.
    """
    there = turns >= 0
    tokens, answers, visual, squares = (np.where(there, lengths[turns, column], 0) for column in range(4))
    count, longest = there.sum(axis=2), tokens.max(axis=2)
    shortest_prompt = np.where(there, tokens - answers, longest[:, :, None]).min(axis=2)
    labelled = count * (longest - shortest_prompt)  # ms-swift makes logits from the first labelled position on
    fields = [count * longest, count * longest**2, labelled, per_token * visual.sum(axis=2)]
    return np.stack([*fields, per_token**2 * squares.sum(axis=2)], axis=2).astype(np.float64)


def _largest(turns: np.ndarray, batch_size: int, *, per_token: int) -> Batch:
    """Return a batch of the longest turn, the shortest prompt and the most pictures; arguments as of `_work`."""
    count = min(batch_size, len(turns))
    longest, _, visual, squares = (int(column.max(initial=0)) for column in turns.T)
    shortest_prompt = int((turns[:, 0] - turns[:, 1]).min()) if batch_size > 1 and len(turns) else 0
    labelled = longest - shortest_prompt if batch_size > 1 else int(turns[:, 1].max(initial=0))
    return Batch(
        tokens=count * longest,
        token_pairs=count * longest**2,
        labelled=count * labelled,
        patches=count * per_token * visual,
        patch_pairs=count * per_token**2 * squares,
    )
