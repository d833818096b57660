"""The contract on every driver."""

from __future__ import annotations

from tests.index.contract import IndexContract


class TestIndex(IndexContract):
    pass
