"""Random numbers that depend on what they are for, and on nothing else."""

from __future__ import annotations

import hashlib
import struct

import numpy as np

__all__ = ["rng"]


def rng(seed: int, epoch: int, name: str, row: int, draw: int) -> np.random.Generator:
    """Return the generator of one draw of one row.

    The five values are written one after the other (each number in 8 bytes, the name last), hashed to 128 bits by
    BLAKE2b, and seed a PCG64. So the stream is the same in every process, on every rank, for any number of workers and
    after a restart, and two different tuples share nothing. Python's own `hash()` is salted per process and not used.

    Args:
        seed: Seed of the run.
        epoch: Number of the epoch, from 0.
        name: Name of the data set.
        row: Number of the row, from 0.
        draw: Number of the draw within the row: how often the row was used before in this epoch, or its purpose.

    Raises:
        ValueError: A number lies outside [0, 2**63).
    """
    numbers = (seed, epoch, row, draw)
    if not all(0 <= number < 2**63 for number in numbers):
        raise ValueError(f"seed, epoch, row and draw must lie in [0, 2**63), got {numbers}")
    content = struct.pack("<4q", *numbers) + name.encode("utf-8", errors="surrogatepass")
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "little"))))
