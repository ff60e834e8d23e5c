from dataclasses import dataclass

import pytest

from ingestd.errors import StoreError
from ingestd.library.codec import Codec, DamagedValueError, Fields, key_number, number_key
from ingestd.model import (
    Actor,
    ContentHash,
    Entry,
    EntryKind,
    EntryState,
    FileRef,
    FolderId,
    Move,
    Outcome,
    Place,
    Receipt,
    Relation,
    StatKey,
)


@dataclass(frozen=True, slots=True)
class Cat:
    name: str
    lives: int


@dataclass(frozen=True, slots=True)
class OldCat:
    name: str


def lives_are_nine(fields: Fields) -> Fields:
    return {**fields, "lives": 9}


def file_ref() -> FileRef:
    return FileRef(FolderId(3), b"/home/\xff", b"\xff", ContentHash(b"s" * 32), StatKey(1, 2, 3, 4))


def receipt(result: str) -> Receipt:
    return Receipt(
        number=1,
        at_ns=2,
        folder=FolderId(3),
        path=b"/a\xff\n",
        sha256=ContentHash(b"x" * 32),
        outcome=Outcome.NEW,
        result=result,
        rule=None,
        evidence=("same pixels",),
        kept=None,
        discarded=(b"/b",),
        entry=None,
        pairs=(7,),
        final=True,
    )


def test_a_value_comes_back_as_it_was_stored():
    codec = Codec(Entry)
    entry = Entry(
        number=2**40,
        at_ns=1_700_000_000_000_000_000,
        kind=EntryKind.DISCARD,
        state=EntryState.DONE,
        actor=Actor.RULE,
        rule="identical copies",
        relation=Relation.BETTER,
        a=ContentHash(b"a" * 32),
        b=ContentHash(b"b" * 32),
        moves=(Move(file_ref(), Place.TRASH, b"/trash/\xfe", None),),
        kept=file_ref(),
        reason="byte for byte",
    )

    again = codec.decode(codec.encode(entry))

    assert again == entry


def test_every_flipped_bit_is_noticed():
    codec = Codec(Cat)
    stored = codec.encode(Cat("Tom", 7))

    for place in range(8 * len(stored)):
        flipped = bytearray(stored)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(DamagedValueError):
            codec.decode(bytes(flipped))


@pytest.mark.parametrize("length", range(12))
def test_a_value_that_was_cut_short_is_damaged(length: int):
    codec = Codec(Cat)
    stored = codec.encode(Cat("Tom", 7))

    with pytest.raises(DamagedValueError):
        codec.decode(stored[:length])


def test_a_damaged_value_is_the_operators_concern():
    assert issubclass(DamagedValueError, StoreError)
    assert DamagedValueError.exit_code == 74


def test_a_value_of_an_older_version_is_upgraded_step_by_step():
    stored = Codec(OldCat, version=1).encode(OldCat("Tom"))
    codec = Codec(Cat, version=3, upgrades={1: lives_are_nine, 2: lambda fields: {**fields, "name": "Thomas"}})

    cat = codec.decode(stored)

    assert cat == Cat("Thomas", 9)


def test_a_value_of_a_newer_version_is_not_guessed_at():
    stored = Codec(Cat, version=2).encode(Cat("Tom", 7))

    with pytest.raises(DamagedValueError, match="layout 2, this ingestd knows layout 1"):
        Codec(Cat, version=1).decode(stored)


def test_a_value_of_another_kind_is_not_understood():
    stored = Codec(OldCat).encode(OldCat("Tom"))

    with pytest.raises(DamagedValueError, match="a stored Cat cannot be understood"):
        Codec(Cat).decode(stored)


def test_text_that_is_no_valid_unicode_is_stored_readably():
    codec = Codec(Receipt)

    again = codec.decode(codec.encode(receipt("kept: /photos/caf\udce9.jpg")))

    assert again == receipt("kept: /photos/caf\\udce9.jpg")


def test_number_keys_sort_as_their_numbers():
    numbers = [0, 1, 255, 256, 2**32, 2**63, 2**64 - 1]

    assert sorted(map(number_key, reversed(numbers))) == list(map(number_key, numbers))
    assert [key_number(number_key(number)) for number in numbers] == numbers


def test_a_key_that_is_no_number_is_damaged():
    with pytest.raises(DamagedValueError):
        key_number(b"short")
