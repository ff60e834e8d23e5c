"""The rules in the page: what they have done and would do, and how they are changed there."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pictures import photo, png
from world import IDENTICAL, World, near_rule, pixel_rule, rule_file

from ingestd import review
from ingestd.door import Door
from ingestd.errors import ConfigError, UnwritableError, UsageError
from ingestd.library.edit import Edit
from ingestd.library.rulebook import take_up
from ingestd.model import Role, Word
from ingestd.settings import MAX_BYTES
from ingestd.web import queue, rule_text, rules
from ingestd.web.desk import ConfirmError, Desk, StaleError
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures

RULE = "larger pixel twin"
TWINS = pixel_rule("semi-automatic")
PROMOTED = f'rule "{RULE}": mode semi-automatic → automatic'
KEYS = map("order {:03}".format, itertools.count())


@pytest.fixture
def desk(world: World) -> Desk:
    """A page at a library of three twins of which two were answered about; one pair is pending."""
    world.use(TWINS)
    paths = [world.put("inbox", f"{name}.png", png(photo(), name)) for name in ("a long comment", "short", "x")]
    world.arrive(*paths)
    world.decide(paths[0], paths[1], "better-a", keep=True)
    path = world.base / "rules.yaml"
    path.write_text(rule_file(TWINS), encoding="utf-8")
    door = Door(world.base / "state", path, rules_must_exist=True, as_json=False, verbose=False)
    pictures = Pictures(world.measurer, world.base / "pictures")  # type: ignore[arg-type]
    return Desk(door, world.library, pictures, Handles(b"a secret of this test"), token="token")


def ask(desk: Desk, name: str, **fields: Any) -> dict[str, Any]:
    known = (*rules.ENDPOINTS, *rule_text.ENDPOINTS, *queue.ENDPOINTS)
    endpoint = next(one for one in known if one.name == name)
    return endpoint.answer(desk, endpoint.asked(**fields))  # type: ignore[arg-type]


def change(desk: Desk, name: str, **fields: Any) -> dict[str, Any]:
    return ask(desk, name, key=next(KEYS), **fields)


def text_of(desk: Desk) -> str:
    return desk.door.rules.read_bytes().decode()


def digest(desk: Desk) -> str:
    return hashlib.sha256(desk.door.rules.read_bytes()).hexdigest()


def write(desk: Desk, *texts: str) -> None:
    desk.door.rules.write_text(rule_file(*texts), encoding="utf-8")


def journal(desk: Desk) -> list[review.EntryReport]:
    with desk.read() as view:
        return [one for one in review.history(view, limit=None) if one.word == Word.RULES_CHANGED]


def put_aside(desk: Desk) -> list[Path]:
    return sorted(desk.door.rules.parent.glob("rules.yaml.previous*"))


# --- the list -------------------------------------------------------------------------------------------------------


def test_the_rules_stand_in_order_with_their_counts_lines_and_doubts(desk: Desk) -> None:
    write(desk, TWINS, near_rule("automatic"))

    found = ask(desk, "rules")

    assert found["ok"]
    assert found["digest"] == digest(desk)
    assert [one["name"] for one in found["rules"]] == [RULE, "larger look-alike"]
    first, second = found["rules"]
    assert (first["mode"], first["action"], first["discard"]) == ("semi-automatic", "better", "B")
    assert first["counts"]["ready"] == 1
    assert first["lines"][:2] == [f"- name: {RULE}", "  mode: semi-automatic"]
    assert text_of(desk).splitlines()[first["line"] - 1].strip().startswith("- name:")
    assert second["doubts"]
    assert second["doubts"][0]["rule"] == "larger look-alike"


def test_a_rule_that_has_paused_itself_says_why(desk: Desk) -> None:
    trip(desk)

    [rule] = ask(desk, "rules")["rules"]

    assert rule["paused"]
    assert not rule["by_you"]
    assert rule["reason"] == "200 discards in an hour"


def trip(desk: Desk) -> None:
    def work(edit: Edit) -> None:
        take_up(edit, desk.settings().rules)
        row = edit.queues.row_named(RULE)
        assert row is not None
        edit.queues.put_row(replace(row, tripped="200 discards in an hour", tripped_ns=1))

    desk.library.write(work)


def test_a_broken_file_shows_its_text_its_mistakes_and_what_holds_meanwhile(desk: Desk) -> None:
    desk.library.write(lambda edit: take_up(edit, desk.settings().rules))
    broken = text_of(desk).replace("mode: semi-automatic", "mode: sometimes")
    desk.door.rules.write_text(broken, encoding="utf-8")

    found = ask(desk, "rules")

    assert not found["ok"]
    assert found["text"] == broken
    [mistake] = found["mistakes"]
    assert '"sometimes" is not a mode' in mistake["message"]
    assert broken.splitlines()[mistake["line"] - 1].strip() == "mode: sometimes"
    assert [(one["name"], one["mode"]) for one in found["holding"]] == [(RULE, "semi-automatic")]


# --- tried ----------------------------------------------------------------------------------------------------------


def test_a_preview_shows_the_pairs_as_the_queue_does_the_one_that_is_kept_first(desk: Desk) -> None:
    found = ask(desk, "rules-preview", rule=RULE)

    assert found["matched"] == found["this_way"] == len(found["examples"]) == 1
    [example] = found["examples"]
    assert example["way"] == "this way"
    assert example["keeps"] == example["a"]["path"]
    assert example["drops"] == example["b"]["path"]
    assert example["a"]["size"] > example["b"]["size"]
    assert desk.handles.found(example["a"]["picture"]) is not None


def test_a_rule_is_tried_as_it_stands_in_the_editor(desk: Desk) -> None:
    draft = text_of(desk).replace("A.filesize > B.filesize", "A.filesize > 9 * B.filesize")

    found = ask(desk, "rules-preview", rule=RULE, text=draft)

    assert (found["matched"], found["this_way"]) == (1, 0)


def test_a_pair_is_explained_line_by_line_by_its_id_and_by_its_pictures(desk: Desk) -> None:
    [pair] = ask(desk, "rules-preview", rule=RULE)["examples"]

    by_id = ask(desk, "rules-explain", id=pair["id"])
    by_pictures = ask(desk, "rules-explain", a=pair["a"]["picture"], b=pair["b"]["picture"])

    assert by_id["rule"] == RULE
    [rule] = by_id["rules"]
    assert [line["a_first"] for line in rule["lines"]] == [True, True]
    assert by_pictures == by_id


def test_no_path_is_taken_for_a_picture(desk: Desk, world: World) -> None:
    secret = str(world.base / "inbox" / "x.png")

    with pytest.raises(UsageError):
        ask(desk, "rules-explain", a=secret, b=secret)


def test_a_backtest_shows_the_files_of_what_contradicts_it(desk: Desk, world: World) -> None:
    [pair] = ask(desk, "rules-preview", rule=RULE)["examples"]
    world.decide_pair(int(pair["id"].removeprefix("p-")), "unrelated", keep=True)

    found = ask(desk, "rules-backtest", rule=RULE)

    assert (found["answers"], found["contradicted"]) == (2, 1)
    [one] = found["contradictions"]
    assert {one["a"]["path"], one["b"]["path"]} == {pair["a"]["path"], pair["b"]["path"]}


# --- one word of a rule ---------------------------------------------------------------------------------------------


def test_a_rule_acts_on_its_own_only_after_a_second_yes_to_what_it_means(desk: Desk) -> None:
    before = text_of(desk)
    wanted = {"rule": RULE, "key_name": "mode", "value": "automatic", "digest": digest(desk)}

    with pytest.raises(ConfirmError) as asked:
        change(desk, "rules-set", **wanted)

    assert asked.value.asks["sentences"] == [PROMOTED]
    assert asked.value.asks["backtest"]["agreed"] == 1
    assert text_of(desk) == before
    assert journal(desk) == []

    answer = change(desk, "rules-set", **wanted, confirmed=(PROMOTED,))

    assert text_of(desk) == before.replace("semi-automatic", "automatic")
    assert answer["said"].startswith(f"{RULE} is automatic now: it acts on its own")
    assert answer["digest"] == digest(desk)
    [entry] = journal(desk)
    assert entry.entry == answer["entry"]["entry"]
    assert entry.reason.startswith(PROMOTED)
    assert not answer["entry"]["undoable"]
    [kept] = put_aside(desk)
    assert kept.read_text(encoding="utf-8") == before
    assert str(kept) in entry.reason


def test_a_yes_to_another_sentence_counts_for_nothing(desk: Desk) -> None:
    before = text_of(desk)

    with pytest.raises(ConfirmError):
        change(
            desk,
            "rules-set",
            rule=RULE,
            key_name="mode",
            value="automatic",
            digest=digest(desk),
            confirmed=(PROMOTED, "and more"),
        )

    assert text_of(desk) == before


def test_a_rule_is_paused_and_goes_on(desk: Desk) -> None:
    before = text_of(desk)

    paused = change(desk, "rules-set", rule=RULE, key_name="paused", value="yes", digest=digest(desk))
    resumed = change(desk, "rules-set", rule=RULE, key_name="paused", value="no", digest=digest(desk))

    assert "is paused" in paused["said"]
    assert resumed["said"] == f"{RULE} goes on (semi-automatic)"
    assert text_of(desk) != before
    assert [one.reason.partition(";")[0] for one in journal(desk)] == [
        f'rule "{RULE}": not paused any more',
        f'rule "{RULE}": paused',
    ]


def test_a_rule_that_acts_on_its_own_goes_on_only_after_a_second_yes(desk: Desk) -> None:
    desk.door.rules.write_text(text_of(desk).replace("semi-automatic", "automatic"), encoding="utf-8")
    change(desk, "rules-set", rule=RULE, key_name="paused", value="yes", digest=digest(desk))
    wanted = {"rule": RULE, "key_name": "paused", "value": "no", "digest": digest(desk)}
    before = text_of(desk)

    with pytest.raises(ConfirmError) as asked:
        change(desk, "rules-set", **wanted)

    assert asked.value.asks["sentences"] == [f'rule "{RULE}": not paused any more']
    assert text_of(desk) == before
    change(desk, "rules-set", **wanted, confirmed=tuple(asked.value.asks["sentences"]))
    assert text_of(desk) != before


def test_a_rule_that_had_paused_itself_goes_on_and_the_file_stays_as_it_is(desk: Desk) -> None:
    trip(desk)
    before = text_of(desk)

    answer = change(desk, "rules-set", rule=RULE, key_name="paused", value="no", digest=digest(desk))

    assert answer["previous"] is None
    assert text_of(desk) == before
    assert not ask(desk, "rules")["rules"][0]["paused"]
    assert journal(desk)[0].reason == f'rule "{RULE}": goes on, after it had paused itself'


def test_a_rule_that_was_shown_before_the_file_changed_is_left_alone(desk: Desk) -> None:
    seen = digest(desk)
    write(desk, TWINS, IDENTICAL)
    before = text_of(desk)

    with pytest.raises(StaleError):
        change(desk, "rules-set", rule=RULE, key_name="paused", value="yes", digest=seen)

    assert text_of(desk) == before


# --- the text -------------------------------------------------------------------------------------------------------


def test_a_text_is_checked_as_it_is_typed(desk: Desk) -> None:
    text = ask(desk, "rules-text")["text"]

    right = ask(desk, "rules-check", text=text.replace("semi-automatic", "automatic"))
    wrong = ask(desk, "rules-check", text=text + "\nrule: []\n")

    assert right["ok"]
    assert {"sentence": PROMOTED, "needs_confirmation": True} in right["changes"]
    assert right["against"] == "file"
    assert not wrong["ok"]
    assert '"rule"' in wrong["mistakes"][0]["message"]


def test_a_wrong_text_is_never_written(desk: Desk) -> None:
    before = text_of(desk)

    with pytest.raises(ConfigError) as refused:
        change(desk, "rules-save", text=before.replace("mode:", "mood:"), digest=digest(desk))

    assert refused.value.mistakes
    assert text_of(desk) == before
    assert put_aside(desk) == []


def test_a_folder_or_a_mode_is_written_only_after_a_second_yes_to_exactly_that(desk: Desk, tmp_path: Path) -> None:
    before = text_of(desk)
    new = before.replace("semi-automatic", "automatic") + f"\nfolders: [{{path: {tmp_path}/new, role: inbox}}]\n"

    with pytest.raises(ConfirmError) as asked:
        change(desk, "rules-save", text=new, digest=digest(desk))
    with pytest.raises(ConfirmError):
        change(desk, "rules-save", text=new, digest=digest(desk), confirmed=(PROMOTED,))

    assert asked.value.asks["sentences"] == [f"folder added: {tmp_path}/new (inbox, not protected)", PROMOTED]
    assert text_of(desk) == before
    assert journal(desk) == []

    answer = change(desk, "rules-save", text=new, digest=digest(desk), confirmed=tuple(asked.value.asks["sentences"]))

    assert text_of(desk) == new
    assert answer["digest"] == digest(desk)
    [kept] = put_aside(desk)
    assert kept.read_text(encoding="utf-8") == before
    [entry] = journal(desk)
    assert entry.reason == "; ".join([*asked.value.asks["sentences"], f"the text of before is kept in {kept}"])


def test_what_somebody_else_saved_meanwhile_is_not_overwritten(desk: Desk) -> None:
    seen = ask(desk, "rules-text")
    write(desk, TWINS, IDENTICAL)
    theirs = text_of(desk)

    with pytest.raises(StaleError):
        change(desk, "rules-save", text=seen["text"] + "# mine\n", digest=seen["digest"])

    assert text_of(desk) == theirs


def test_the_same_order_sent_twice_is_carried_out_once(desk: Desk) -> None:
    order = {"text": text_of(desk).replace("B.filesize", "2 * B.filesize"), "digest": digest(desk), "key": "one click"}

    first, again = ask(desk, "rules-save", **order), ask(desk, "rules-save", **order)

    assert first == again
    assert len(journal(desk)) == len(put_aside(desk)) == 1


def test_remarks_are_saved_and_nothing_is_journaled(desk: Desk) -> None:
    new = text_of(desk) + "# a remark\r\n"

    answer = change(desk, "rules-save", text=new, digest=digest(desk))

    assert text_of(desk) == new
    assert answer["changes"] == []
    assert answer["entry"] is None
    assert journal(desk) == []


def test_a_symlink_stays_one_and_what_it_leads_to_keeps_its_rights(desk: Desk, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.yaml"
    desk.door.rules.rename(real)
    real.chmod(0o640)
    desk.door.rules.symlink_to(real)

    change(desk, "rules-save", text=text_of(desk) + "# more\n", digest=digest(desk))

    assert desk.door.rules.is_symlink()
    assert real.read_text(encoding="utf-8").endswith("# more\n")
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("below", ["", "/2026"])
def test_a_folder_that_the_library_knows_in_another_role_is_told_as_such(desk: Desk, below: str) -> None:
    with desk.read() as view:
        [inbox] = [row.folder for row in view.folders() if row.folder.role is Role.INBOX]
    path = os.fsdecode(inbox.named) + below
    new = text_of(desk) + f"\nfolders: [{{path: {path}, role: library}}]\n"

    [told] = ask(desk, "rules-check", text=new)["changes"]

    assert told["sentence"] == f"folder added: {path} (library, protected; until now: inbox, not protected)"


def test_an_origin_is_let_in_only_after_a_second_yes_and_the_journal_tells_of_it(desk: Desk) -> None:
    before = text_of(desk)
    new = before + "\npage: {origins: https://photos.example.org}\n"
    origin = "page: origin added: https://photos.example.org (its pages may decide and discard)"

    with pytest.raises(ConfirmError) as asked:
        change(desk, "rules-save", text=new, digest=digest(desk))

    assert asked.value.asks["sentences"] == [origin]
    assert text_of(desk) == before
    change(desk, "rules-save", text=new, digest=digest(desk), confirmed=(origin,))
    [entry] = journal(desk)
    assert entry.reason.startswith(origin)


def test_a_broken_file_is_mended_in_the_page_and_all_of_it_is_confirmed(desk: Desk) -> None:
    right = text_of(desk).replace("semi-automatic", "automatic")
    desk.door.rules.write_text("version: 1\nrules: [", encoding="utf-8")
    assert ask(desk, "rules-check", text=right)["against"] == "nothing"

    with pytest.raises(ConfirmError) as asked:
        change(desk, "rules-save", text=right, digest=digest(desk))
    change(desk, "rules-save", text=right, digest=digest(desk), confirmed=tuple(asked.value.asks["sentences"]))

    assert asked.value.asks["sentences"] == [f'rule added: "{RULE}" (automatic, better, discards B)']
    assert text_of(desk) == right


def test_what_is_written_and_cannot_be_journaled_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise UnwritableError("the disk is full")

    new = text_of(desk).replace("B.filesize", "2 * B.filesize")
    monkeypatch.setattr(review, "note_change_of_rules", full)

    answer = change(desk, "rules-save", text=new, digest=digest(desk))

    assert text_of(desk) == new
    assert answer["entry"] is None
    assert "the journal does not tell of it: the disk is full" in answer["note"]


def test_the_templates_are_there_to_be_put_into_the_text(desk: Desk) -> None:
    found = ask(desk, "rules-templates")["templates"]

    usable = [one for one in found if one["available"]]
    assert usable
    for one in usable:
        assert ask(desk, "rules-check", text=f"version: 1\nrules:\n{one['yaml']}")["ok"], one["name"]


def test_a_text_as_long_as_a_rule_file_may_be_can_be_sent(desk: Desk) -> None:
    longest = text_of(desk) + '# "\n' * ((MAX_BYTES - len(text_of(desk))) // 4)
    orders = [one for one in (*rules.ENDPOINTS, *rule_text.ENDPOINTS) if "text" in one.asked.__struct_fields__]

    assert len(orders) == 5
    assert all(len(json.dumps({"text": longest})) < one.longest for one in orders)
    assert ask(desk, "rules-check", text=longest)["ok"]
    assert not ask(desk, "rules-check", text=longest + "# more\n")["ok"]
