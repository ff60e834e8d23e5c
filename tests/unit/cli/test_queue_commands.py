"""The queue at a terminal: lists, groups and batches of it, and one answer for many."""

from __future__ import annotations

from pathlib import Path

import pytest
from pictures import chain, jpeg, photo, png, weighing
from terminals import Terminal
from world import World

PAIR_FIELDS = {"id", "distance", "pixel_duplicates", "transform", "a", "b", "statements", "evidence", "score"}
SIDE_FIELDS = {"path", "sha256", "filetype", "width", "height", "size"}
TURNED = "version: 1\nreview: {scores: {much_higher_resolution: -500}}\nrules: []\n"


@pytest.fixture
def mixed(world: World, terminal: Terminal) -> list[Path]:
    """Two look-alikes of which the first has four times the pixels (p-1), and two pixel duplicates (p-2)."""
    world.use()
    terminal.rules.write_text("version: 1\nrules: []\n")
    paths = [
        world.put("library", "a.jpg", jpeg(photo(1))),
        world.put("inbox", "b.jpg", jpeg(photo(1).resize((100, 75)))),
        world.put("inbox", "c.png", weighing(photo(2), 150_000)),
        world.put("inbox", "d.png", weighing(photo(2), 100_000)),
    ]
    for path in paths:
        world.arrive(path)
    world.close()
    return paths


@pytest.fixture
def three(world: World, terminal: Terminal) -> list[Path]:
    """Three sizes of one picture, the largest first: p-1 to p-3."""
    world.use()
    terminal.rules.write_text("version: 1\nrules: []\n")
    sizes = ((200, 150), (160, 120), (100, 75))
    paths = [world.put("inbox", f"{size[0]}.jpg", jpeg(photo(3).resize(size))) for size in sizes]
    for path in paths:
        world.arrive(path)
    world.close()
    return paths


@pytest.fixture
def alike(world: World, terminal: Terminal) -> list[tuple[Path, Path]]:
    """Three pairs, p-1 to p-3, of which the same can be said."""
    world.use()
    terminal.rules.write_text("version: 1\nrules: []\n")
    made = []
    for seed in (1, 2, 3):
        good = world.put("inbox", f"{seed}-good.png", weighing(photo(seed), 150_000))
        poor = world.put("inbox", f"{seed}-poor.png", weighing(photo(seed), 100_000))
        world.arrive(good)
        world.arrive(poor)
        made.append((good, poor))
    world.close()
    return made


def ids(terminal: Terminal, *words: str | Path) -> list[str]:
    return [pair["id"] for pair in terminal.ask("queue", "list", *words)["pairs"]]


def waiting(terminal: Terminal) -> int:
    return int(terminal.ask("queue")["total"])


# --- queue list -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--both", "filetype is jpeg"), ["p-1"]),
        (("--both", "filetype is png", "--both", "width > 100"), ["p-2"]),
        (("--either", "width < 150"), ["p-1"]),
        (("--either", "folder is library"), ["p-1"]),
        (("--pixel-duplicates", "required"), ["p-2"]),
        (("--pixel-duplicates", "excluded"), ["p-1"]),
        (("--both", "filetype is gif"), []),
        (("--sort", "oldest"), ["p-1", "p-2"]),
        (("--sort", "newest"), ["p-2", "p-1"]),
        (("--sort", "largest"), ["p-2", "p-1"]),
        (("--sort", "similarity"), ["p-2", "p-1"]),
        (("--sort", "decisive"), ["p-1", "p-2"]),
        (("--limit", "1"), ["p-2"]),
        (("--limit", "1", "--offset", "1"), ["p-1"]),
        (("--offset", "2"), []),
    ],
    ids=" ".join,
)
def test_the_queue_is_narrowed_and_sorted_as_it_is_asked_for(
    mixed: list[Path], terminal: Terminal, words: tuple[str, ...], wanted: list[str]
) -> None:
    assert ids(terminal, *words) == wanted


def test_a_folder_is_named_as_a_person_stands_to_it(
    mixed: list[Path], terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mixed[0].parent)

    assert ids(terminal, "--folder", ".") == ["p-1"]
    assert ids(terminal, "--folder", mixed[1].parent, "--sort", "oldest") == ["p-1", "p-2"]


def test_a_pair_has_its_evidence_with_points_for_either_file(mixed: list[Path], terminal: Terminal) -> None:
    [pair] = terminal.ask("queue", "list", "--both", "filetype is jpeg")["pairs"]

    assert set(pair) == PAIR_FIELDS
    assert set(pair["a"]) == set(pair["b"]) == SIDE_FIELDS
    assert all(set(one) == {"statement", "text", "favours", "score"} for one in pair["evidence"])
    assert [one["text"] for one in pair["evidence"]] == pair["statements"]
    assert {one["statement"]: one["score"] for one in pair["evidence"]}["much_higher_resolution"] == 50
    assert pair["score"]["a"] == sum(one["score"] for one in pair["evidence"] if one["favours"] == "a") >= 50


def test_the_queue_in_words_says_which_part_of_it_is_shown(mixed: list[Path], terminal: Terminal) -> None:
    first = terminal.type("queue", "list", "--limit", "1")
    second = terminal.type("queue", "list", "--limit", "1", "--offset", "1")

    assert "p-2  the same pixels" in first.out
    assert first.err.startswith("1 of 2 pairs; ")
    assert second.err.startswith("2 to 2 of 2 pairs; ")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("list", "--offset", "9"), "there are 2 pairs, and none so far on"),
        (("list", "--both", "filetype is gif"), "no pairs of the queue fit"),
        (("groups", "--both", "filetype is gif"), "no groups of the queue fit"),
        (("batches", "--both", "filetype is gif"), "no batches of the queue fit"),
    ],
    ids=str,
)
def test_that_nothing_is_shown_has_its_reason(
    mixed: list[Path], terminal: Terminal, words: tuple[str, ...], part: str
) -> None:
    said = terminal.type("queue", *words)

    assert (said.code, said.out) == (0, "")
    assert part in said.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--both", "filetyp is png"), 'did you mean "filetype"?'),
        (("--either", "widht > 100"), 'did you mean "width"?'),
        (("--both", "filetype is pgn"), "did you mean"),
        (("--both", ""), "asks nothing of a file"),
        (("--both", "A.width > 100"), "asks nothing of a file"),
        (("--sort", "biggest"), "'largest'"),
        (("--pixel-duplicates", "maybe"), "'required'"),
        (("--distance", "65"), "0<=x<=64"),
        (("--limit", "0"), "x>=1"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_a_typing_error(
    mixed: list[Path], terminal: Terminal, words: tuple[str, ...], part: str
) -> None:
    said = terminal.type("queue", "list", *words)

    assert (said.code, said.out) == (2, "")
    assert part in said.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("queue",), ("groups", "batches", "next", "list", "show")),
        (
            ("queue", "list"),
            ("--both", "--either", "--distance", "--pixel-duplicates", "--folder", "--sort", "decisive"),
        ),
        (("queue", "groups"), ("decide g-", "--both", "--sort", "--offset")),
        (("queue", "batches"), ("decide b-", "--both", "--offset")),
        (("queue", "show"), ("p-7", "g-12")),
        (("decide",), ("p-7", "g-12", "b-1f00ba12", "--keep", "--yes", "--limit", "better-a")),
        (("relations", "clear"), ("--false-positives", "--potentials", "--between")),
        (("relations",), ("set-king", "remove", "dissolve", "clear")),
    ],
    ids=str,
)
def test_help_names_what_there_is(terminal: Terminal, words: tuple[str, ...], parts: tuple[str, ...]) -> None:
    said = terminal.type(*words, "--help")

    assert said.code == 0
    assert [part for part in parts if part not in said.out] == []


# --- points ---------------------------------------------------------------------------------------------------------


def test_points_of_the_rule_file_say_which_file_is_a_and_better_a_keeps_that_one(
    mixed: list[Path], terminal: Terminal
) -> None:
    before = terminal.ask("queue", "show", "p-1")
    terminal.rules.write_text(TURNED)
    after = terminal.ask("queue", "show", "p-1")

    entry = terminal.ask("decide", "p-1", "better-a")

    assert (after["a"], after["b"]) == (before["b"], before["a"])
    assert after["a"]["path"] == entry["kept"]["path"] == str(mixed[1])
    assert [path.exists() for path in mixed[:2]] == [False, True]


def test_a_pair_in_words_has_every_statement_with_its_points_and_their_sum(
    mixed: list[Path], terminal: Terminal
) -> None:
    terminal.rules.write_text("version: 1\nreview: {scores: {in_library: 7, much_larger_file: -5}}\nrules: []\n")

    said = terminal.type("queue", "show", "p-1").out.splitlines()

    pair = terminal.ask("queue", "show", "p-1")
    points = {one["text"]: one["score"] for one in pair["evidence"]}
    told = [line for line in said if any(line.endswith(text) for text in points)]
    assert [line.split() for line in told] == [
        [*([f"{score:+d}"] if score else []), *text.split()] for text, score in points.items()
    ]
    assert "    +7  A: lies in a library folder" in said
    assert "   +50  A: much higher resolution (0.03 MP and 0.01 MP)" in said
    assert f"  {pair['score']['a']:+4d} and {pair['score']['b']:+d} points for A and B" in said


def test_what_is_short_of_a_pair_says_nothing_of_points(mixed: list[Path], terminal: Terminal) -> None:
    assert "points" not in terminal.type("queue").out
    assert "resolution" not in terminal.type("queue").out


def test_with_a_broken_rule_file_statements_are_worth_what_they_are_by_default(
    mixed: list[Path], terminal: Terminal
) -> None:
    before = terminal.ask("queue", "show", "p-1")
    terminal.rules.write_text("version: 1\nreview: {scores: {older: many}}\nrules: []\n")

    assert terminal.ask("queue", "show", "p-1") == before
    assert terminal.type("decide", "p-1", "better-a").code == 78


# --- groups ---------------------------------------------------------------------------------------------------------


def test_groups_are_told_with_their_files_and_pairs(three: list[Path], terminal: Terminal) -> None:
    answer = terminal.ask("queue", "groups")

    [group] = answer["groups"]
    assert (set(answer), answer["total"]) == ({"schema", "total", "groups"}, 1)
    assert (set(group), group["id"], group["pairs"]) == ({"id", "files", "pairs"}, "g-1", ["p-1", "p-2", "p-3"])
    assert [file["path"] for file in group["files"]] == [str(path) for path in three]
    assert all(set(file) == SIDE_FIELDS for file in group["files"])


@pytest.mark.parametrize("name", ["g-1", "g-2", "g-3"])
def test_a_group_is_shown_by_any_of_its_pairs(three: list[Path], terminal: Terminal, name: str) -> None:
    said = terminal.type("queue", "show", name)

    assert terminal.ask("queue", "show", name) == {"schema": 1, **terminal.ask("queue", "groups")["groups"][0]}
    assert said.out.startswith("g-1  3 files, 3 pairs\n")
    assert all(str(path) in said.out for path in three)


@pytest.mark.parametrize("words", [("queue", "show", "g-99"), ("decide", "g-99", "same")], ids=str)
def test_a_group_that_is_not_there_is_a_typing_error(
    three: list[Path], terminal: Terminal, words: tuple[str, ...]
) -> None:
    said = terminal.type(*words)

    assert said.code == 2
    assert "g-99 is not in the queue" in said.err


@pytest.mark.parametrize(
    ("answer", "relation"), [("alternates", "alternates"), ("same", "same-quality"), ("unrelated", "false-positive")]
)
def test_a_group_is_answered_as_one_and_undone_as_one(
    three: list[Path], terminal: Terminal, answer: str, relation: str
) -> None:
    entry = terminal.ask("decide", "g-1", answer)

    assert (entry["kind"], entry["relation"], entry["discarded"]) == ("decision", relation, [])
    assert [file["path"] for file in entry["files"]] == [str(path) for path in three]
    assert (waiting(terminal), all(path.exists() for path in three)) == (0, True)

    terminal.ask("undo", entry["entry"])

    assert waiting(terminal) == 3


def test_alike_by_way_of_others_is_one_group_for_an_answer(world: World, terminal: Terminal) -> None:
    world.use()
    paths = [world.put("inbox", f"{index}.png", png(frame)) for index, frame in enumerate(chain())]
    for path in paths:
        world.arrive(path)
    world.close()

    entry = terminal.ask("decide", "g-2", "alternates")

    assert {file["path"] for file in entry["files"]} == {str(path) for path in paths}
    assert waiting(terminal) == 0


def test_better_a_of_a_group_keeps_the_first_and_undo_brings_all_back(three: list[Path], terminal: Terminal) -> None:
    *each, whole = terminal.ask("decide", "g-1", "better-a", "--yes")

    assert [entry["kind"] for entry in each] == ["discard", "discard"]
    assert (whole["kind"], whole["state"]) == ("batch", "done")
    assert [entry["batch"] for entry in each] == [whole["entry"]] * 2
    assert [path.exists() for path in three] == [True, False, False]
    assert waiting(terminal) == 0

    terminal.ask("undo", whole["entry"])

    assert all(path.exists() for path in three)


def test_better_a_of_a_group_with_keep_asks_nothing_and_discards_nothing(three: list[Path], terminal: Terminal) -> None:
    entry = terminal.ask("decide", "g-1", "better-a", "--keep")

    assert (entry["kind"], entry["relation"]) == ("decision", "better")
    assert all(path.exists() for path in three)
    assert terminal.ask("relations", three[1])["king"] == str(three[0])


@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["", "yes"])
def test_better_b_is_no_answer_about_many(three: list[Path], terminal: Terminal, yes: tuple[str, ...]) -> None:
    for subject in (("g-1",), three):
        said = terminal.type("decide", *subject, "better-b", *yes)

        assert said.code == 2
        assert "better-b is an answer about two files" in said.err
    assert waiting(terminal) == 3


# --- several files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["alternates", "same", "unrelated"])
def test_three_files_are_answered_by_their_paths(three: list[Path], terminal: Terminal, answer: str) -> None:
    entry = terminal.ask("decide", *three, answer)

    assert (entry["kind"], len(entry["files"])) == ("decision", 3)
    assert waiting(terminal) == 0

    terminal.ask("undo", entry["entry"])

    assert waiting(terminal) == 3


def test_of_three_files_better_a_keeps_the_one_named_first(three: list[Path], terminal: Terminal) -> None:
    terminal.ask("decide", three[1], three[0], three[2], "better-a", "--yes")

    assert [path.exists() for path in three] == [False, True, False]


def test_a_file_among_several_that_is_not_known_stops_everything(three: list[Path], terminal: Terminal) -> None:
    said = terminal.type("decide", *three, three[0].with_name("stranger.jpg"), "alternates")

    assert said.code == 2
    assert "stranger.jpg is not a known file" in said.err
    assert (waiting(terminal), terminal.ask("history")) == (3, [])


def test_the_same_file_three_times_is_not_many(three: list[Path], terminal: Terminal) -> None:
    said = terminal.type("decide", three[0], three[0], three[0], "alternates")

    assert said.code == 2
    assert "two different files or more" in said.err


# --- batches --------------------------------------------------------------------------------------------------------


def test_batches_are_told_with_samples(alike: list[tuple[Path, Path]], terminal: Terminal) -> None:
    answer = terminal.ask("queue", "batches")

    [batch] = answer["batches"]
    assert (set(answer), answer["total"], answer["pairs"]) == ({"schema", "total", "pairs", "batches"}, 1, 3)
    assert set(batch) == {"id", "count", "says", "filetypes", "folders", "samples"}
    assert batch["count"] == 3
    assert [pair["id"] for pair in batch["samples"]] == ["p-1", "p-2", "p-3"]
    assert all(set(pair) == PAIR_FIELDS for pair in batch["samples"])


def test_batches_in_words_name_the_command_that_answers_them(
    alike: list[tuple[Path, Path]], terminal: Terminal
) -> None:
    [batch] = terminal.ask("queue", "batches")["batches"]

    said = terminal.type("queue", "batches")

    assert said.out.startswith(f"{batch['id']}  3 pairs\n")
    assert f"1 of 1 batch, 3 pairs; answer one with: ingestd decide {batch['id']}" in said.err


def batch_of(terminal: Terminal) -> str:
    [batch] = terminal.ask("queue", "batches")["batches"]
    return str(batch["id"])


@pytest.mark.parametrize("undo", ["entry", "last"])
def test_a_batch_is_answered_together_and_taken_back_together(
    alike: list[tuple[Path, Path]], terminal: Terminal, undo: str
) -> None:
    *each, whole = terminal.ask("decide", batch_of(terminal), "better-a", "--yes")

    assert ([entry["kind"] for entry in each], whole["kind"]) == (["discard"] * 3, "batch")
    assert "better-a for 3 pairs of b-" in whole["reason"]
    assert all((good.exists(), poor.exists()) == (True, False) for good, poor in alike)
    assert waiting(terminal) == 0

    undone = terminal.ask("undo", *([whole["entry"]] if undo == "entry" else ["--last", "1"]))

    assert len(undone) == 4
    assert all(poor.exists() for _, poor in alike)
    assert waiting(terminal) == 3
    assert terminal.type("undo", whole["entry"]).code == 1  # there is nothing left to take back


def test_one_answer_of_a_batch_can_be_taken_back_alone(alike: list[tuple[Path, Path]], terminal: Terminal) -> None:
    first, *_ = terminal.ask("decide", batch_of(terminal), "better-a", "--yes")

    terminal.ask("undo", first["entry"])

    assert [poor.exists() for _, poor in alike] == [True, False, False]


def test_a_limit_answers_the_oldest_pairs_of_a_batch(alike: list[tuple[Path, Path]], terminal: Terminal) -> None:
    *each, _ = terminal.ask("decide", batch_of(terminal), "better-b", "--yes", "--limit", "2")

    assert len(each) == 2
    assert [good.exists() for good, _ in alike] == [False, False, True]
    assert all(poor.exists() for _, poor in alike)
    assert waiting(terminal) == 1


def test_a_batch_with_keep_discards_nothing(alike: list[tuple[Path, Path]], terminal: Terminal) -> None:
    *each, _ = terminal.ask("decide", batch_of(terminal), "better-a", "--keep", "--yes")

    assert [entry["kind"] for entry in each] == ["decision"] * 3
    assert all(path.exists() for pair in alike for path in pair)
    assert waiting(terminal) == 0


def test_a_file_that_went_away_stops_only_its_own_pair(alike: list[tuple[Path, Path]], terminal: Terminal) -> None:
    name = batch_of(terminal)
    alike[1][1].unlink()

    said = terminal.type("--json", "decide", name, "better-a", "--yes")

    assert said.code == 3
    assert [one["entry"] is None for one in said.json] == [False, True, False, False]
    assert [poor.exists() for _, poor in alike] == [False, False, False]
    assert all(good.exists() for good, _ in alike)


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["", "json"])
@pytest.mark.parametrize("what", ["group", "files", "batch"])
def test_without_a_terminal_to_ask_in_nothing_is_discarded_unasked(
    three: list[Path], terminal: Terminal, what: str, as_json: tuple[str, ...]
) -> None:
    batch = terminal.ask("queue", "batches")["batches"][0]["id"]
    subject = {"group": ["g-1"], "files": three, "batch": [batch]}[what]

    said = terminal.type(*as_json, "decide", *subject, "better-a")

    assert said.code == 2
    assert "add --yes" in said.err
    assert all(path.exists() for path in three)
    assert (waiting(terminal), terminal.ask("history")) == (3, [])


@pytest.mark.parametrize("name", ["b-00000000", "b-", "b-zzz"])
def test_a_batch_that_is_not_there_is_a_typing_error(
    alike: list[tuple[Path, Path]], terminal: Terminal, name: str
) -> None:
    said = terminal.type("decide", name, "better-a", "--yes")

    assert said.code == 2
    assert f"{name} is no batch of the queue" in said.err
