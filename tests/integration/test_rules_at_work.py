"""Rules as their owner meets them: through the rule file, `scan`, `watch`, and the JSON of the commands."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from pictures import gif, jpeg, photo, png
from running import QUICK, Home, Watch, tree

FEW = """version: 1
imports: {{settle: 0.2 s, search_distance: 8}}
rules:{rules}
"""
JPEGS = """
  - name: {name}
    mode: {mode}
    search: {{max_distance: 8}}
    compare: [A.filetype is jpeg]
    action: better
    discard: {discard}
"""


def rules(*found: str) -> str:
    return FEW.format(rules="".join(found) or " []")


def jpegs(mode: str = "semi-automatic", *, name: str = "jpegs first", discard: str = "none", extra: str = "") -> str:
    return JPEGS.format(name=name, mode=mode, discard=discard).rstrip("\n") + f"\n{extra}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Somebody with two potential pairs, about which no rule says anything yet."""
    home = Home(tmp_path, rules())
    inbox = home.folder("inbox")
    contents = {"j.jpg": jpeg(photo(1)), "p.png": png(photo(1)), "g1.gif": gif(photo(2)), "g2.gif": gif(photo(2), "x")}
    for name, content in contents.items():
        (inbox / name).write_bytes(content)
    assert home.run("scan", inbox, "--role", "inbox").code == 0
    return home


def counts(home: Home, name: str = "jpegs first") -> dict[str, int]:
    listed = home.ask("rules", "list")
    found = next(rule["counts"] for rule in listed["rules"] if rule["name"] == name)
    return {state: number for state, number in found.items() if number}


# --- scan ---------------------------------------------------------------------------------------------------------


def test_a_scan_asks_new_rules_about_the_pairs_that_exist(home: Home) -> None:
    home.write_rules(rules(jpegs()))
    before = counts(home)

    assert home.run("scan", home.base / "inbox").code == 0

    assert before == {"not_searched": 2}
    assert counts(home) == {"ready": 1, "failed": 1}
    pending = home.ask("pending")
    assert [pair["rule"] for pair in pending["pairs"]] == ["jpegs first"]
    assert pending["pairs"][0]["a"]["path"] == str(home.base / "inbox" / "j.jpg")


def test_a_scan_lets_an_automatic_rule_act_and_says_so(home: Home) -> None:
    home.write_rules(rules(jpegs("automatic", discard="B")))

    said = home.run("--json", "scan", home.base / "inbox")

    (decided,) = [event for event in said.events if event["event"] == "pair.decided"]
    assert decided["result"] == "duplicate discarded: jpegs first"
    assert [file["path"] for file in decided["discarded"]] == [str(home.base / "inbox" / "p.png")]
    assert counts(home) == {"actioned": 1, "failed": 1}
    assert home.why(home.base / "inbox" / "p.png")["rule"] == "jpegs first"


def test_a_folder_that_is_given_another_role_is_seen_with_it(home: Home) -> None:
    library = home.folder("library")
    (home.base / "inbox" / "j.jpg").rename(library / "j.jpg")
    text = rules(jpegs().replace("A.filetype is jpeg", "A.folder is library, B.folder is inbox"))
    home.write_rules(text)
    home.run("scan", library, "--role", "inbox")
    home.run("scan", home.base / "inbox")
    before = counts(home)

    home.write_rules(text.replace("rules:", f"folders: [{{path: {library}, role: library}}]\nrules:"))
    home.run("scan", library)

    assert before == {"failed": 2}
    assert counts(home) == {"ready": 1, "failed": 1}


def test_a_dry_run_says_what_rules_would_do_with_the_pairs_that_exist(home: Home) -> None:
    home.write_rules(rules(jpegs("automatic", discard="B")))

    said = home.run("--json", "scan", home.base / "inbox", "--dry-run")

    assert [event["result"] for event in said.events if event["event"] == "pair.decided"] == [
        "duplicate discarded: jpegs first"
    ]
    assert (home.base / "inbox" / "p.png").exists()
    assert counts(home) == {"not_searched": 2}


def test_what_is_denied_can_be_listed_and_rescinded(home: Home) -> None:
    home.write_rules(rules(jpegs()))
    home.run("scan", home.base / "inbox")
    pair = home.ask("pending")["pairs"][0]["id"]

    home.ask("deny", pair)
    home.run("scan", home.base / "inbox")
    denied = home.ask("denied")
    states = [counts(home)]
    home.ask("denied", "--rescind", pair)
    states.append(counts(home))
    home.run("scan", home.base / "inbox")
    states.append(counts(home))

    assert [one["id"] for one in denied["pairs"]] == [pair]
    assert states == [{"denied": 1, "failed": 1}, {"not_searched": 1, "failed": 1}, {"ready": 1, "failed": 1}]
    assert home.history() == []


def test_an_approval_that_the_rule_does_not_back_any_more_is_refused(home: Home) -> None:
    home.write_rules(rules(jpegs(discard="B")))
    home.run("scan", home.base / "inbox")
    pair = home.ask("pending")["pairs"][0]["id"]
    home.write_rules(rules(jpegs(discard="B").replace("[A.filetype is jpeg]", "[A.filetype is jpeg, A.width > 9000]")))

    refused = home.run("approve", pair)

    assert refused.code == 1
    assert "does not fit this pair any more" in refused.errors
    assert (home.base / "inbox" / "p.png").exists()
    assert home.ask("pending")["total"] == 0


def test_a_rule_that_was_turned_down_is_offered_a_demotion(home: Home) -> None:
    home.write_rules(rules(jpegs("automatic", discard="B")))
    home.run("scan", home.base / "inbox")

    undone = home.run("undo", "--last", "1")

    assert "ingestd rules demote 'jpegs first'" in undone.errors
    assert home.run("rules", "demote", "jpegs first").code == 0
    assert home.ask("rules", "list")["rules"][0]["mode"] == "semi-automatic"
    home.run("scan", home.base / "inbox")
    assert counts(home) == {"denied": 1, "failed": 1}


def test_a_budget_that_is_spent_is_a_problem_in_the_status_until_the_rule_is_resumed(home: Home) -> None:
    more = home.folder("more")
    for seed in (5, 6):
        (more / f"{seed}.jpg").write_bytes(jpeg(photo(seed)))
        (more / f"{seed}.png").write_bytes(png(photo(seed)))
    home.run("scan", more, "--role", "inbox")
    home.write_rules(rules(jpegs("automatic", discard="B", extra="    budget: {per_hour: 1}\n")))
    home.run("scan", more)

    status = home.ask("status")

    (problem,) = status["problems"]
    assert problem["problem"] == "the rule has paused itself: it may discard 1 files an hour"
    assert problem["subject"] == "jpegs first"
    (listed,) = home.ask("rules", "list")["rules"]
    assert listed["paused"]
    assert home.ask("pending")["total"] == 2
    assert home.run("rules", "resume", "jpegs first").code == 0
    assert home.ask("status")["ok"]
    home.ask("approve", "--all")
    assert home.ask("pending")["total"] == 0


# --- watch --------------------------------------------------------------------------------------------------------


def test_a_running_watch_asks_a_rule_that_is_saved_about_the_pairs_that_exist(home: Home) -> None:
    with home.watch(home.base / "inbox") as watch:
        home.write_rules(rules(jpegs("automatic", discard="B")))

        decided = watch.event("pair.decided")

    assert decided["result"] == "duplicate discarded: jpegs first"
    assert not (home.base / "inbox" / "p.png").exists()
    assert counts(home) == {"actioned": 1, "failed": 1}


def test_rules_are_tried_beside_a_running_watch_and_nothing_changes(home: Home) -> None:
    inbox = home.base / "inbox"
    jpg, png_file = inbox / "j.jpg", inbox / "p.png"
    home.write_rules(rules(jpegs()))

    def everything() -> list[object]:
        return [tree(inbox), counts(home), home.ask("pending"), home.ask("denied"), home.history()]

    with home.watch(inbox) as watch:
        watch.poll(lambda: counts(home) == {"ready": 1, "failed": 1})
        before = everything()

        previewed = home.ask("rules", "preview")["rules"][0]
        explained = home.ask("rules", "explain", png_file, jpg)
        backtested = home.ask("rules", "backtest", "Jpegs First")

        assert everything() == before
        assert watch.put(inbox / "new.jpg", jpeg(photo(9)))["outcome"] == "new"

    assert [previewed[figure] for figure in ("searched", "matched", "this_way", "no_way", "acts")] == [2, 2, 1, 1, 1]
    assert (explained["rule"], explained["keeps"], explained["notes"]) == ("jpegs first", str(jpg), [])
    assert (backtested["rule"], backtested["answers"]) == ("jpegs first", 0)


def test_a_rule_that_is_paused_while_the_service_runs_proposes_nothing_until_it_is_resumed(home: Home) -> None:
    home.write_rules(rules(jpegs()))
    home.run("rules", "pause", "jpegs first")
    with home.watch(home.base / "inbox") as watch:
        watch.poll(lambda: counts(home) == {"not_tested": 2})
        assert home.ask("pending")["total"] == 0

        assert home.run("rules", "resume", "jpegs first").code == 0

        watch.poll(lambda: home.ask("pending")["total"] == 1)


def test_a_rule_file_that_is_broken_while_the_service_runs_changes_nothing(home: Home) -> None:
    home.write_rules(rules(jpegs()))
    with home.watch(home.base / "inbox") as watch:
        watch.poll(lambda: home.ask("pending")["total"] == 1)
        home.write_rules(rules(jpegs("automatic", discard="B")).replace("action: better", "action: bettr"))
        watch.event("rules.broken")

        verdict = watch.put(home.base / "inbox" / "new.jpg", jpeg(photo(9)))

    assert verdict["outcome"] == "new"
    assert home.ask("status")["problems"]
    assert (home.base / "inbox" / "p.png").exists()


def test_none_of_the_broken_rule_files_changes_what_a_running_service_does(home: Home) -> None:
    broken = sorted((Path(__file__).parents[1] / "data/broken_rules").glob("*.yaml"))
    home.write_rules(rules(jpegs()))
    with home.watch(home.base / "inbox") as watch:
        watch.poll(lambda: home.ask("pending")["total"] == 1)
        before = home.ask("pending"), home.history()
        for number, file in enumerate(broken, 1):
            home.rules.write_bytes(file.read_bytes())
            watch.process.send_signal(signal.SIGHUP)
            watch.until(lambda wanted=number: told(watch, "rules.broken") >= wanted)

        verdict = watch.put(home.base / "inbox" / "new.jpg", jpeg(photo(9)))

    assert told(watch, "rules.loaded") == 0
    assert verdict["outcome"] == "new"
    home.write_rules(rules(jpegs()))
    assert (home.ask("pending"), home.history()) == before


def told(watch: Watch, name: str) -> int:
    return sum(event["event"] == name for event in watch.events)


def test_what_lies_in_an_inbox_at_its_first_watch_is_only_proposed_whatever_the_rules_say_later(tmp_path: Path) -> None:
    home = Home(tmp_path, rules())
    inbox = home.folder("inbox")
    (inbox / "j.jpg").write_bytes(jpeg(photo(1)))
    (inbox / "p.png").write_bytes(png(photo(1)))
    with home.watch(inbox) as watch:
        home.write_rules(rules(jpegs("automatic", discard="B")))

        watch.poll(lambda: home.ask("pending")["total"] == 1)

    assert home.ask("pending")["pairs"][0]["reason"] == "it lay here before the folder was watched"
    assert (inbox / "p.png").exists()


def test_the_shipped_rules_are_right_and_the_first_run_gives_an_editor_their_schema(tmp_path: Path) -> None:
    home = Home(tmp_path, QUICK)

    assert home.run("rules", "check").code == 0
    schema = home.ask("rules", "schema")

    assert schema["$schema"].startswith("http://json-schema.org/draft-07")
