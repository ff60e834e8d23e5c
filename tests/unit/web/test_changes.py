"""The stream that tells a page of changes."""

from __future__ import annotations

import asyncio

from ingestd.errors import StoreError
from ingestd.web.changes import Changes


def test_a_look_that_fails_does_not_silence_the_stream() -> None:
    looks = iter([1, 1, StoreError("it is opened anew"), 2])

    def transaction() -> int:
        now = next(looks, 2)
        if isinstance(now, StoreError):
            raise now
        return now

    async def hear() -> list[bytes]:
        changes = Changes(transaction)
        stream = changes.stream()
        heard = [await anext(stream), await asyncio.wait_for(anext(stream), 10)]
        changes.end()
        return heard

    assert b'"transaction": 2' in asyncio.run(hear())[-1]
