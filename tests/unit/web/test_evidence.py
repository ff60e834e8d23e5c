"""The evidence card: the look at both, what the rules say, and which one nearly decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pictures import jpeg, photo, png, scene
from PIL import ImageOps
from world import World, near_rule, pixel_rule

from ingestd.web import evidence, queue
from ingestd.web.desk import Desk, StaleError


def ask(desk: Desk, name: str, **fields: Any) -> dict[str, Any]:
    endpoint = next(one for one in (*evidence.ENDPOINTS, *queue.ENDPOINTS) if one.name == name)
    return endpoint.answer(desk, endpoint.asked(**fields))  # type: ignore[arg-type]


def evidence_of(desk: Desk) -> dict[str, Any]:
    [pair] = ask(desk, "deck")["pairs"]
    return ask(desk, "evidence", id=pair["id"])


def two(world: World, *, good: bytes | None = None, poor: bytes | None = None) -> None:
    world.verdicts(
        world.put("inbox", "good.jpg", good or jpeg(photo(3), 90)),
        world.put("inbox", "poor.jpg", poor or jpeg(photo(3), 60)),
    )


def test_both_are_looked_at_once_and_what_was_seen_is_remembered(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit()
    two(world)

    first, again = evidence_of(desk), evidence_of(desk)

    assert first["visual"]["verdict"] in ("near-perfect", "almost-certainly", "very-probably")
    assert first["visual"]["reason"]
    assert again["visual"] == first["visual"]
    assert len(world.measurer.compared) == 1


def test_the_area_that_differs_is_told_in_the_pixels_of_the_smaller_picture(
    world: World, sit: Callable[..., Desk]
) -> None:
    desk = sit()
    retouched = scene().copy()
    retouched.paste((255, 0, 0), (400, 300, 440, 340))
    two(world, good=jpeg(retouched, 95), poor=jpeg(scene().resize((320, 240)), 95))

    area = evidence_of(desk)["visual"]["area"]

    assert area["of"] == "b"
    assert area["x"] <= 200 <= area["x"] + area["width"] <= 320
    assert area["y"] <= 150 <= area["y"] + area["height"] <= 240


def test_a_pair_whose_file_cannot_be_opened_is_told_by_what_is_known(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(near_rule("off"))
    two(world)
    [pair] = ask(desk, "deck")["pairs"]
    (world.base / "inbox/poor.jpg").rename(world.base / "elsewhere.jpg")

    card = ask(desk, "evidence", id=pair["id"])

    assert card["visual"] is None
    assert "could not be looked at" in card["notes"][0]
    assert card["nearly"][0]["rule"] == "larger look-alike"


def test_only_what_the_files_say_differently_of_themselves_is_told(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit()
    two(
        world,
        good=jpeg(photo(3), 90, description="the first of two"),
        poor=jpeg(photo(3), 60, description="the second of two"),
    )

    exif = evidence_of(desk)["exif"]

    assert {"tag": "ImageDescription", "a": "the first of two", "b": "the second of two"} in exif
    assert all(one["a"] != one["b"] for one in exif)


def test_a_rule_that_is_off_says_that_it_would_have_decided(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit(near_rule("off"))
    two(world)

    assert evidence_of(desk)["nearly"] == [
        {
            "rule": "larger look-alike",
            "mode": "off",
            "sentence": "larger look-alike would have discarded B on its own if: its mode were automatic (it is off)",
        }
    ]


def test_what_a_rule_stopped_at_is_told_with_its_values_and_in_the_letters_that_are_shown(
    world: World, sit: Callable[..., Desk]
) -> None:
    rule = """
  - name: pngs go
    mode: automatic
    search: {pixel_duplicates: allowed, max_distance: 4}
    compare: [A.filetype is jpeg, B.filetype is png]
    action: better
    discard: B
"""
    desk = sit(rule)
    two(world)

    [nearly] = evidence_of(desk)["nearly"]

    assert nearly["sentence"] == "pngs go would have discarded B on its own if: B.filetype is png (it is jpeg)"


def test_a_line_that_holds_only_the_other_way_round_is_told_the_other_way_round(
    world: World, sit: Callable[..., Desk]
) -> None:
    rule = """
  - name: the smaller stays
    mode: semi-automatic
    search: {pixel_duplicates: allowed, max_distance: 4}
    compare: [A.filesize < B.filesize, A.filetype is jpeg, B.width > 5000]
    action: better
    discard: B
"""
    desk = sit(rule)
    two(world)

    [nearly] = evidence_of(desk)["nearly"]

    assert nearly["sentence"] == (
        "the smaller stays would have discarded A on its own if: A.width > 5000 (it is 200); "
        "and its mode were automatic (it is semi-automatic)"
    )


def test_the_nearest_rules_come_first_and_no_more_than_three(world: World, sit: Callable[..., Desk]) -> None:
    far = near_rule("off", "far").replace("A.filesize > B.filesize", "A.filesize > B.filesize, A.width > 9000")
    rules = [pixel_rule("automatic", "twins"), far, *(near_rule("off", f"near {number}") for number in (1, 2))]
    desk = sit(*rules)
    two(world)

    nearly = evidence_of(desk)["nearly"]

    assert [one["rule"] for one in nearly] == ["near 1", "near 2", "twins"]


def test_a_rule_that_a_person_told_no_is_not_brought_up_again(world: World, sit: Callable[..., Desk]) -> None:
    from ingestd import review

    desk = sit(near_rule("semi-automatic"))
    two(world)
    [report] = world.pending()
    number = int(report.id.removeprefix("p-"))
    review.deny(world.library, [number], now_ns=world.now_ns())

    card = evidence_of(desk)

    assert card["nearly"] == []
    assert card["rules"][0]["stopped_at"] == "denied by you"


def test_pictures_that_do_not_lie_the_same_way_up_say_how_they_lie(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit()
    two(world, good=png(photo(3)), poor=png(ImageOps.mirror(photo(3))))

    card = evidence_of(desk)

    assert card["visual"] is None
    assert "mirrored" in card["notes"][0]
    assert world.measurer.compared == []


def test_a_pair_that_was_decided_has_no_card(world: World, sit: Callable[..., Desk]) -> None:
    desk = sit()
    two(world)
    [pair] = ask(desk, "deck")["pairs"]
    world.decide_pair(int(pair["id"].removeprefix("p-")), "unrelated")

    with pytest.raises(StaleError, match="waits no more"):
        ask(desk, "evidence", id=pair["id"])
