from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qvl.training.sampling import TurnBatches


@given(st.integers(1, 50), st.integers(1, 5), st.integers(1, 8))
def test_the_processes_together_see_every_turn_once_and_take_equally_many_batches(num_turns, batch_size, world_size):
    shares = [
        list(TurnBatches(num_turns, batch_size=batch_size, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    seen = [index for share in shares for batch in share for index in batch]
    assert sorted(index for index in seen if index >= 0) == list(range(num_turns))
    assert [[len(batch) for batch in share] for share in shares] == [[len(batch) for batch in shares[0]]] * world_size
    assert sum(index < 0 for index in seen) < world_size
    assert all(0 <= -index - 1 < num_turns for index in seen if index < 0)
    assert len(shares[0]) == len(TurnBatches(num_turns, batch_size=batch_size, rank=0, world_size=world_size))


def test_one_process_keeps_the_order_of_the_data_set():
    assert list(TurnBatches(5, batch_size=2, rank=0, world_size=1)) == [[0, 1], [2, 3], [4]]
