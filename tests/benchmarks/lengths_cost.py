"""What it costs to know the length of a row: `python tests/benchmarks/lengths_cost.py [OUT.json]`.

CPU time of one thread on rows of generated 1920 x 1080 JPEGs with 20 objects. Aim: a length without augmentation at
most 1/200 of ms-swift's `template.encode`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from full_sample import FORM, augmentation, encode_path, load_template, make_turns
from side_by_side import ratio, save, table, time_cases, write_rows

from qvl.training.encoding import ConversationEncoder
from qvl.training.kept_lengths import row_tokens
from qvl.training.lengths import TurnLengths, measure

ROUNDS = 60
PICTURES = 6
ROWS = 60
BLOCK = "lengths of many rows, one after the other as it is done before the first step"
OUT = Path("multirun_outputs/benchmarks/lengths_cost.json")


def main() -> None:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        rows = write_rows(Path(name), PICTURES)
        template = load_template(Path(name))
        encoder = ConversationEncoder(template, FORM)
        plain, augmented = make_turns(rows, None), make_turns(rows, augmentation())
        answers = [plain[number].answer for number in range(PICTURES)]
        lengths: TurnLengths = measure(augmented, encoder)
        tickets = [augmented.plan(0).ticket(number) for number in range(PICTURES)]
        part = plain.parts[0]
        records = [part.rows[number] for number in range(PICTURES)]
        cases = {
            "ms-swift": lambda k: encode_path(template, str(Path(name, f"{k % PICTURES}.jpg")), answers[k % PICTURES]),
            "row read and checked": lambda k: part.rows[k % PICTURES],
            BLOCK: lambda _: [row_tokens(part, encoder, record) for record in records * (ROWS // PICTURES)],
            "length, augmented": lambda k: lengths.turn(tickets[k % PICTURES]),
        }
        seconds = time_cases(cases, rounds=ROUNDS)
        seconds["length"] = [block / ROWS for block in seconds.pop(BLOCK)]
    save(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT, seconds, {"rounds": ROUNDS})
    sys.stdout.write(table(seconds, to=["ms-swift"]))
    for name in ("length", "length, augmented"):
        sys.stdout.write(f"{name}: 1/{1 / ratio(seconds, name, 'ms-swift'):.0f} of encoding\n")


if __name__ == "__main__":
    main()
