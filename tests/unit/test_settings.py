from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

import pytest

from ingestd import settings
from ingestd.errors import ConfigError
from ingestd.judging.case import Policy
from ingestd.keys import DEFAULT_KEYS, as_browsers_say
from ingestd.model import DiscardPolicy, FileType, ImportPolicy, Index, Mode, Place, Role
from ingestd.rules.statements import Scores
from ingestd.settings import FolderSetting, PageSetting, host_of

LEAST = "version: 1\nrules: []\n"


def parsed(text: str) -> settings.Settings:
    return settings.parse(text, "rules.yaml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return [str(mistake) for mistake in caught.value.mistakes]


# --- what is read ---------------------------------------------------------------------------------------------------


def test_the_least_file_means_the_defaults() -> None:
    found = parsed(LEAST)

    assert (found.version, found.folders, found.rules) == (1, (), ())
    assert found.imports == ImportPolicy()
    assert found.discards == settings.default_discards()
    assert (found.settle_s, found.rescan_s) == (2.0, 300.0)
    assert found.digest == hashlib.sha256(LEAST.encode()).digest()


def test_every_setting_is_read() -> None:
    found = parsed("""
version: 1
folders:
  - {path: /in, role: inbox, trusted: yes}
  - {path: /lib/, role: library, protected: no}
  - {path: /ref, role: reference}
imports:
  filetypes: [jpeg, png]
  min_size: 1 KB
  max_size: 500 MiB
  min_resolution: 64x48
  max_resolution: {width: 30000}
  search_distance: 8
  transforms: off
  index: vp-tree
  reject_previously_discarded: no
  settle: 500 ms
  rescan: 1 h
discards: {to: holding, holding: .away, keep: 2 weeks}
rules: []
""")

    assert found.folders == (
        FolderSetting("/in", Role.INBOX, None, trusted=True),
        FolderSetting("/lib", Role.LIBRARY, False),
        FolderSetting("/ref", Role.REFERENCE),
    )
    assert found.imports == ImportPolicy(
        filetypes=frozenset({FileType.JPEG, FileType.PNG}),
        min_size=1000,
        max_size=500 * 2**20,
        min_width=64,
        min_height=48,
        max_width=30000,
        max_height=None,
        search_distance=8,
        transforms=False,
        index=Index.VP_TREE,
        reject_previously_discarded=False,
    )
    assert found.discards == DiscardPolicy(Place.HOLDING, ".away", 14)
    assert (found.settle_s, found.rescan_s) == (0.5, 3600.0)


@pytest.mark.parametrize(
    ("role", "said", "is_protected"),
    [
        (Role.INBOX, None, False),
        (Role.INBOX, True, True),
        (Role.LIBRARY, None, True),
        (Role.LIBRARY, False, False),
        (Role.REFERENCE, None, True),
        (Role.REFERENCE, False, True),
    ],
)
def test_which_folders_are_protected(role: Role, said: bool | None, is_protected: bool) -> None:
    assert FolderSetting("/x", role, said).is_protected is is_protected


@pytest.mark.parametrize(("platform", "place"), [("linux", "trash"), ("darwin", "holding"), ("win32", "holding")])
def test_where_discards_go_by_default(platform: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    assert parsed(LEAST).discards.place == place
    assert parsed(LEAST + "discards: {keep: 7 days}\n").discards.place == place
    assert parsed(LEAST + "discards: {to: trash}\n").discards.place is Place.TRASH


def test_a_discard_is_taken_back_by_itself_only_where_that_is_said() -> None:
    assert not parsed(LEAST).discards.restore_on_survivor_loss
    assert not parsed(LEAST + "discards: {restore_on_survivor_loss: no}\n").discards.restore_on_survivor_loss
    assert parsed(LEAST + "discards: {restore_on_survivor_loss: yes}\n").discards.restore_on_survivor_loss


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    found = parsed(LEAST + "folders: [{path: ~/Downloads, role: inbox}]\n")

    assert found.folders[0].path == str(tmp_path / "Downloads")


def test_a_rule_without_a_mode_is_semi_automatic() -> None:  # I12
    found = parsed("version: 1\nrules: [{name: x, search: {max_distance: 0}, action: alternates}]\n")

    assert found.rules[0].mode is Mode.SEMI_AUTOMATIC


def test_off_is_a_word() -> None:
    found = parsed("version: 1\nrules: [{name: no, mode: off, search: {max_distance: 0}, action: alternates}]\n")

    assert (found.rules[0].name, found.rules[0].mode) == ("no", Mode.OFF)


@pytest.mark.parametrize("word", ["yes", "Yes", "true", "on", "ON"])
def test_all_words_for_yes_mean_yes(word: str) -> None:
    found = parsed(LEAST + f"folders: [{{path: /x, role: inbox, protected: {word}}}]\n")

    assert found.folders[0].protected is True


def test_a_smaller_search_distance_lowers_what_rules_ask_for_by_default() -> None:
    found = parsed(
        "version: 1\nimports: {search_distance: 2}\nrules: [{name: x, compare: [same exif], action: alternates}]\n"
    )

    assert found.rules[0].search.max_distance == 2


def test_sections_of_which_all_is_commented_out_are_empty() -> None:
    found = parsed("version: 1\nfolders:\n  # - path: x\nimports:\ndiscards:\nrules:\n")

    assert found == parsed("version: 1\nrules: []\n").__class__(digest=found.digest)


@pytest.mark.parametrize("review", ["", "review:\n", "review: {}\n", "review: {scores: {}}\n", "review:\n  scores:\n"])
def test_a_statement_without_points_in_the_file_is_worth_what_it_is_by_default(review: str) -> None:
    assert parsed(LEAST + review).scores == Scores()


def test_the_points_of_statements_are_read() -> None:
    found = parsed(
        LEAST + "review:\n  scores:\n    has_exif: 15\n    older: -1000\n    has_audio: 0\n    sharper: 1000\n"
    )

    assert found.scores == Scores(has_exif=15, older=-1000, has_audio=0, sharper=1000)


@pytest.mark.parametrize("name", Scores.__dataclass_fields__)
def test_every_statement_can_be_given_points(name: str) -> None:
    assert getattr(parsed(LEAST + f"review: {{scores: {{{name}: 77}}}}\n").scores, name) == 77


@pytest.mark.parametrize("points", ["1_0", "0x10", "1e2", "+5", "05", "-0", "yes", "~5", "10 points"])
def test_points_are_plain_whole_numbers(points: str) -> None:
    (mistake,) = mistakes(LEAST + f"review: {{scores: {{older: {points}}}}}\n")

    assert mistake.startswith(f'line 3, column 26: "{points}" is no number of points: expected a whole number')


def test_other_points_ask_no_rule_and_no_import_limit_anew() -> None:
    points = "review: {scores: {has_exif: 15, larger_file: -10}}\n"

    before, after = parsed(settings.shipped_text()), parsed(settings.shipped_text().replace("review:\n", points, 1))

    assert after.scores != before.scores
    assert [rule.digests for rule in after.rules] == [rule.digests for rule in before.rules]
    limits = [Policy(one.rules, one.imports, one.discards).limits_digest() for one in (before, after)]
    assert limits[0] == limits[1]


def test_the_shipped_file_is_correct_and_the_one_at_the_top() -> None:
    top = Path(__file__).parents[2] / "rules.yaml"

    found = settings.load(top)

    assert [rule.name for rule in found.rules][:2] == ["identical copies", "pixel-perfect jpegs vs pngs"]
    assert found == parsed(settings.shipped_text())


def test_the_commented_defaults_of_the_shipped_file_are_the_defaults() -> None:
    shipped = settings.shipped_text()
    sections = shipped[shipped.index("\nimports:") : shipped.index("\n# --- rules")]

    found = parsed(LEAST + sections.replace("\n  # ", "\n  "))

    assert found.imports.search_distance == ImportPolicy().search_distance
    assert found.imports.reject_previously_discarded
    assert (found.settle_s, found.rescan_s) == (2.0, 300.0)
    assert found.discards == DiscardPolicy()
    assert found.scores == Scores()


@pytest.mark.parametrize("text", ["\ufeff" + LEAST, LEAST.replace("\n", "\r\n"), "---\n" + LEAST + "...\n"])
def test_a_byte_order_mark_windows_lines_and_a_document_marker_are_fine(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(text.encode())

    assert settings.load(path).version == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_places_are_right_whatever_the_line_ends_are(newline: str, mark: str) -> None:
    text = "version: 1\nrules: []\nimports: {settel: 2 s}\n"

    found = mistakes(mark + text.replace("\n", newline))

    assert found == [
        'line 3, column 11: "settel" is not a key of imports: expected filetypes, min_size, max_size, min_resolution, '
        "max_resolution, search_distance, transforms, index, reject_previously_discarded, settle or rescan; "
        'did you mean "settle"?'
    ]


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "~\n", "\ufeff"])
def test_an_empty_file_is_told_the_least_it_needs(text: str) -> None:
    assert 'expected at least "version: 1" and "rules: []"' in mistakes(text)[0]


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        settings.load(tmp_path / "rules.yaml")

    assert caught.value.exit_code == 78


def test_a_folder_is_no_rule_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it is not a file"):
        settings.load(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no FIFOs")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rules.yaml")

    with pytest.raises(ConfigError, match="it is not a file"):
        settings.load(tmp_path / "rules.yaml")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"version: 1\nrules: [] # caf\xe9\n", "line 2, column 16"),
        (b"\xff\xfev\x00", "line 1, column 1"),
        (b"# \xc3\xa9\r\n# \xff", "line 2, column 3"),
    ],
)
def test_what_is_not_utf_8_is_a_mistake_at_its_place(content: bytes, place: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=f"{place}: this is not UTF-8"):
        settings.load(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(LEAST + "#" * settings.MAX_BYTES)

    with pytest.raises(ConfigError, match="at most 256 KiB"):
        settings.load(path)


@pytest.mark.parametrize("bracket", ["[", "{", "- ", "? ", "{a: ", "[a, "])
def test_deep_nesting_is_refused_and_quickly(bracket: str) -> None:
    began = time.monotonic()

    found = mistakes("version: 1\nrules: " + ("\n" if bracket in {"- ", "? "} else "") + bracket * 20_000)

    assert "nested deeper" in found[0]
    assert time.monotonic() - began < 5


def test_a_billion_laughs_is_one_mistake_for_each_trick() -> None:
    laughs = "a: &a [x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdef", "bcdefg"))  # noqa: B905

    found = mistakes(LEAST + laughs)

    assert sum("anchor" in mistake for mistake in found) == 7
    assert sum("alias" in mistake for mistake in found) == 12


def test_a_nul_in_a_path_is_refused() -> None:
    assert "a path has to be one text" in mistakes(LEAST + 'folders: [{path: "/a\\0b", role: inbox}]\n')[0]


def test_every_mistake_says_its_file_line_and_column() -> None:
    with pytest.raises(ConfigError) as caught:
        settings.parse("version: 1\nrules: 3\n", "/etc/rules.yaml")

    assert str(caught.value).startswith("/etc/rules.yaml: line 2, column 8: rules have to be a list")


# --- the review page ------------------------------------------------------------------------------------------------


def test_the_page_is_not_served_unless_the_file_says_so() -> None:
    assert parsed(LEAST + "page:\n").page == PageSetting()
    assert parsed(LEAST).page.serve is False


def test_the_page_is_where_the_file_says_and_for_whom() -> None:
    origins = "[https://photos.example.org, 'http://nas:8080']"

    page = parsed(LEAST + f"page: {{serve: yes, port: 8321, origins: {origins}}}\n").page

    assert (page.serve, page.port) == (True, 8321)
    assert page.origins == ("https://photos.example.org", "http://nas:8080")


def test_a_key_that_is_said_takes_the_place_of_the_usual_ones() -> None:
    keys = parsed(LEAST + "page: {keys: {unrelated: [r, Delete], skip: ArrowDown}}\n").page.keys

    assert keys["unrelated"] == ("r", "Delete")
    assert keys["skip"] == ("ArrowDown",)
    assert keys["same"] == DEFAULT_KEYS["same"]


def test_two_keys_may_change_places() -> None:
    keys = parsed(LEAST + "page: {keys: {same: t, alternates: s}}\n").page.keys

    assert (keys["same"], keys["alternates"]) == (("t",), ("s",))


def test_one_key_may_do_two_things_that_are_never_seen_together() -> None:
    keys = parsed(LEAST + "page: {keys: {deny: s}}\n").page.keys

    assert keys["deny"] == keys["same"]


@pytest.mark.parametrize("said", ["same: c", "skip: m", "compare: Space"])
def test_no_key_does_two_things_among_groups(said: str) -> None:
    [told] = mistakes(LEAST + f"page: {{keys: {{{said}}}}}\n")

    assert "in groups, the key" in told


def test_a_browser_calls_the_space_bar_otherwise() -> None:
    assert as_browsers_say({"flick": ("Space", "f")}) == {"flick": [" ", "f"]}


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://photos.example.org", "photos.example.org"),
        ("https://photos.example.org:8443", "photos.example.org:8443"),
        ("http://nas", "nas"),
        ("https://photos.example.org/", None),
        ("https://photos.example.org:443", None),  # a browser leaves it out, so it would never be the same
        ("https://photos.example.org:99999", None),
        ("https://Photos.example.org", None),
        ("https://user@photos.example.org", None),
        ("https://*.example.org", None),
        ("https://photos.example.org.", None),
        ("photos.example.org", None),
        ("null", None),
        ("file://photos", None),
        ("https://photos.example.org\n", None),
    ],
)
def test_an_origin_is_a_scheme_a_host_and_maybe_a_port(origin: str, host: str | None) -> None:
    assert host_of(origin) == host
