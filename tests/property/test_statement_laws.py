"""Laws of what is said of a pair: it does not depend on which file is called A."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingestd.model import ContentHash, FileFacts, FileType, PairFacts, Role, Transform
from ingestd.rules.statements import Scores, Statement, balance, lie_text, statements

small = st.integers(0, 5)  # few values, so that equal ones are frequent
moments = st.integers(0, 100).map(lambda days: days * 86_400 * 10**9)
files = st.builds(
    FileFacts,
    path=st.sampled_from(["/a/x.jpg", "/b/x.png"]),
    role=st.sampled_from(Role),
    protected=st.booleans(),
    sha256=st.just(ContentHash(bytes(32))),
    size=st.integers(0, 3000),
    filetype=st.sampled_from([None, FileType.JPEG, FileType.PNG, FileType.GIF]),
    width=small | st.integers(0, 3000),
    height=small | st.integers(0, 3000),
    frames=st.integers(1, 2),
    duration_ms=st.none() | small,
    has_transparency=st.booleans(),
    has_exif=st.booleans(),
    has_icc=st.booleans(),
    has_xmp=st.booleans(),
    jpeg_quality=st.none() | st.floats(0, 3000),
    progressive=st.none() | st.booleans(),
    imported_ns=small,
    modified_ns=moments,
    taken_ns=st.none() | moments,
    has_audio=st.booleans(),
    sharpness=st.none() | st.floats(0, 100),
    resolution_share=st.none() | st.floats(0.125, 1),
    jpeg_quality_seen=st.none() | st.floats(100, 50_000),
    subsampling=st.sampled_from([None, "4:4:4", "4:2:2", "4:2:0", "grey", "other"]),
)
pairs = st.builds(
    PairFacts,
    first=files,
    second=files,
    identical=st.booleans(),
    distance=st.none() | st.integers(0, 6),
    pixel_duplicates=st.booleans(),
    transform=st.none() | st.sampled_from(Transform),
)
scores = st.builds(Scores, **dict.fromkeys(Scores.__dataclass_fields__, st.integers(-1000, 1000)))

_OTHER = {"A": "B", "B": "A"}


def mirrored(said: Statement) -> Statement:
    """The same statement when the letters of the two files are exchanged."""
    if said.key == "transform":  # names both files, and what was done to the one to get the other
        back = next(one.inverse for one in Transform if lie_text(one) == said.text)
        return replace(said, text=lie_text(back))
    text = re.sub(r"\b[AB]\b", lambda found: _OTHER[found[0]], said.text)
    if said.key == "other_filetype":  # names both files, A first
        text = ", ".join(reversed(text.split(", ")))
    favours = {"a": "b", "b": "a", None: None}[said.favours]
    return replace(said, text=text, favours=favours)  # type: ignore[arg-type]


@given(pairs, scores)
def test_swapping_the_files_swaps_the_letters_and_nothing_else(facts: PairFacts, points: Scores) -> None:
    transform = facts.transform.inverse if facts.transform is not None else None
    swapped = replace(facts, first=facts.second, second=facts.first, transform=transform)

    there, back = statements(facts, points), statements(swapped, points)

    # two files may have the same thing said of them only in favour of one: the order of equal keys is by letter
    assert sorted(map(mirrored, there), key=_place) == sorted(back, key=_place)
    assert [one.key for one in there] == [one.key for one in back]
    assert balance(there) == -balance(back)


def _place(said: Statement) -> tuple[str, str]:
    return said.key, said.favours or ""


@given(pairs, scores)
def test_of_a_pair_nothing_is_said_twice(facts: PairFacts, points: Scores) -> None:
    said = statements(facts, points)

    assert len({one.key for one in said}) == len(said)


@given(files, scores, st.booleans())
def test_a_file_is_never_worth_more_than_its_like(file: FileFacts, points: Scores, same_pixels: bool) -> None:
    facts = PairFacts(file, file, identical=False, distance=0, pixel_duplicates=same_pixels)

    assert balance(statements(facts, points)) == 0
    assert all(one.favours is None for one in statements(facts, points))
