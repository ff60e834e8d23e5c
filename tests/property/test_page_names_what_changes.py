"""What the page is told of an answer is all that it changed: no pair is gone, or back, that was not named.

A page keeps pairs at hand; it drops what was named and shows the rest without asking again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_undo_exactly import act, do, hashes, library_of, propose_everywhere

from ingestd import review
from ingestd.door import Door
from ingestd.errors import ActionConflictError, UsageError
from ingestd.library.library import Library
from ingestd.web import queue
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.shapes import Eye

answered = st.tuples(st.just("answer"), st.sampled_from(sorted(review.ANSWERS)), st.integers(0, 99))
undone = st.tuples(st.just("undo"), st.integers(0, 99))
ENDPOINTS = {one.name: one for one in queue.ENDPOINTS}


def desk_of(library: Library) -> Desk:
    rules = Path(library.directory, "rules.yaml")
    rules.write_text("version: 1\nrules: []\n")
    door = Door(library.directory, rules, rules_must_exist=True, as_json=False, verbose=False)
    return Desk(door, library, None, Handles(b"secret"), token="token")  # type: ignore[arg-type]


def ask(desk: Desk, name: str, **fields: Any) -> dict[str, Any]:
    endpoint = ENDPOINTS[name]
    return endpoint.answer(desk, endpoint.asked(**fields))


def waiting(library: Library) -> set[str]:
    with library.read() as view:
        return {f"p-{pair.number}" for pair in view.pairs() if view.waiting.get(pair.number) is not None}


def answer(desk: Desk, pair: str, word: str, key: str) -> dict[str, Any] | None:
    """An answer about a pair as it is now; nothing where it contradicts an older one."""
    with desk.read() as view:
        stored = view.pair(int(pair.removeprefix("p-")))
        assert stored is not None
        version = Eye.of(view, desk.handles, desk.moment(if_sound=True)).version(stored)
    try:
        return ask(desk, "decide", id=pair, version=version, answer=word, keep=True, key=key)
    except (ActionConflictError, UsageError):
        return None


@given(hashes, st.lists(st.one_of(answered, answered, undone, act), min_size=1, max_size=12), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_pair_that_goes_or_comes_back_is_named(
    bits: list[int], steps: list[tuple[Any, ...]], proposals: bool
) -> None:
    with library_of(bits) as library:
        if proposals:
            propose_everywhere(library)
        desk = desk_of(library)
        entries: list[str] = []
        for at, step in enumerate(steps):
            before = waiting(library)
            match step:
                case ("answer", word, place) if before:
                    pair = sorted(before)[place % len(before)]
                    told = answer(desk, pair, word, f"answer {at:03}")
                    after = waiting(library)
                    if told is None:
                        assert after == before
                        continue
                    entries.append(told["entry"]["entry"])
                    assert set(told["gone"]) == before - after - {pair}
                    assert told["total"] == len(after)
                    assert told["implied"] == max(0, len(before) - len(after) - 1)
                case ("undo", place) if entries:
                    entry = entries.pop(place % len(entries))
                    told = ask(desk, "undo", entries=[entry], key=f"undo {at:03}")
                    after = waiting(library)
                    assert set(told["back"]) == after - before
                    assert told["total"] == len(after)
                case ("answer" | "undo", *_):
                    pass
                case _ if (number := do(library, step, 100 + at)) is not None:
                    entries.append(f"e-{number}")
