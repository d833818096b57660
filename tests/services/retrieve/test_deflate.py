"""The translators that a data set goes through on its way out: deflate, and joining single bits."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from gateway.dicom.encoding.frames import BitJoin
from gateway.errors import CodecError
from gateway.services.retrieve.deflate import Deflater
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=50, deadline=None)
@given(pieces=st.lists(st.binary(max_size=200), max_size=6), verify=st.booleans())
def test_what_is_deflated_in_pieces_inflates_to_the_whole(pieces: list[bytes], verify: bool) -> None:
    """PS3.5 A.5: no zlib header, even length."""
    deflater = Deflater(verify=verify)
    made = b"".join(map(deflater.feed, pieces)) + deflater.finish()
    assert len(made) % 2 == 0
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(made) == b"".join(pieces)
    assert inflater.unused_data in {b"", b"\0"}


def test_a_deflated_data_set_that_inflates_to_something_else_is_refused() -> None:
    deflater = Deflater(verify=True)
    deflater.feed(b"as it was")
    deflater._before.update(b"!")
    with pytest.raises(CodecError, match="does not inflate"):
        deflater.finish()


@given(bits=st.integers(1, 40), frames=st.integers(0, 9), seed=st.integers(0, 99))
def test_frames_of_bits_join(bits: int, frames: int, seed: int) -> None:
    """PS3.5 8.1.1: the first bit of a frame follows the last of the one before."""
    values = np.random.default_rng(seed).integers(0, 2, (frames, bits))
    join = BitJoin(bits)
    padded = [np.packbits(frame, bitorder="little").tobytes() for frame in values]
    made = b"".join(map(join.feed, padded)) + join.finish()
    assert made == np.packbits(values.reshape(-1), bitorder="little").tobytes()
