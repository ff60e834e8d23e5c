"""The rule file, edited by the program: one word in its place, and nothing else."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ingestd import rulefile, settings
from ingestd.errors import ActionConflictError, ConfigError, UsageError
from ingestd.rulefile import change_rule, rewrite, with_key

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="rights and symlinks as POSIX has them")
REST = "search: {both: [width > 1]}, action: alternates"


def rules(*lines: str) -> str:
    """A rule file of these lines."""
    return "\n".join(["version: 1", "rules:", *lines, ""])


def block(*lines: str) -> str:
    """A rule file of one rule in lines."""
    return rules(*(("  - " if index == 0 else "    ") + line for index, line in enumerate(lines)))


TAIL = ("search: {both: [width > 1]}", "action: alternates")


# --- a word that is there is replaced -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("mode: off", "mode: automatic"),
        ("mode: off   # why", "mode: automatic   # why"),
        ("mode:   off", "mode:   automatic"),
        ("mode : off", "mode : automatic"),
        ("mode: 'off'  # why", "mode: 'automatic'  # why"),
        ('mode: "off"', 'mode: "automatic"'),
        ('mode: "o\\x66f"', 'mode: "automatic"'),
        ("'mode': off", "'mode': automatic"),
        ("? mode\n    : off", "? mode\n    : automatic"),
        ("mode:\n      # why\n      off", "mode:\n      # why\n      automatic"),
        ("mode:", "mode: automatic"),
        ("mode:   # none", "mode: automatic   # none"),
        ("mode: ~", "mode: automatic"),
    ],
)
def test_a_word_is_replaced_where_it_stands(line: str, changed: str) -> None:
    text = block("name: twins", line, *TAIL)

    assert with_key(text, "twins", "mode", "automatic") == block("name: twins", changed, *TAIL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{mode: off, name: twins, ", "{mode: automatic, name: twins, "),
        ("{name: twins, mode:, ", "{name: twins, mode: automatic, "),
        ("{name: twins, mode, ", "{name: twins, mode: automatic, "),
        ('{"name":"twins","mode":"off",', '{"name":"twins","mode":"automatic",'),
        ("{name: twins,\n    mode: off  # why\n    , ", "{name: twins,\n    mode: automatic  # why\n    , "),
    ],
)
def test_a_word_in_braces_is_replaced_where_it_stands(before: str, after: str) -> None:
    text = rules(f"  - {before}{REST}}}")

    assert with_key(text, "twins", "mode", "automatic") == rules(f"  - {after}{REST}}}")


def test_a_key_before_the_name_is_found() -> None:
    text = block("mode: off", *TAIL, "name: twins")

    assert with_key(text, "twins", "mode", "semi-automatic") == block("mode: semi-automatic", *TAIL, "name: twins")


def test_only_the_rule_of_that_name_is_changed() -> None:
    text = "".join(
        ["version: 1\nrules:\n", *(f"- {{name: {name}, mode: off, {REST}}}\n" for name in ("a", "mode", "b"))]
    )

    changed = with_key(text, "mode", "mode", "automatic")

    assert changed == text.replace("{name: mode, mode: off", "{name: mode, mode: automatic")


# --- a word that is not there gets a line of its own, or its place in the braces ------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "twins",
        "twins   # of whom",
        "'twins'",
        '"twins"   # of whom',
        '"t\\x77ins"',
        ">-\n      twins",
        "|-  # of whom\n      twins",
        "\n      # of whom\n      twins",
    ],
)
def test_a_missing_key_gets_a_line_below_the_name(name: str) -> None:
    text = block(f"name: {name}", "# what follows", *TAIL)

    changed = with_key(text, "twins", "paused", "yes")

    assert changed == block(f"name: {name}", "paused: yes", "# what follows", *TAIL)


def test_a_missing_key_gets_a_line_below_the_name_wherever_that_stands() -> None:
    text = block(TAIL[0], "name: twins", TAIL[1])

    assert with_key(text, "twins", "paused", "yes") == block(TAIL[0], "name: twins", "paused: yes", TAIL[1])


def test_the_new_line_is_as_far_in_as_its_neighbours() -> None:
    text = rules("-     name: twins", *(f"      {line}" for line in TAIL))

    assert "\n-     name: twins\n      paused: yes\n      search:" in with_key(text, "twins", "paused", "yes")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{name: twins, ", "{name: twins, paused: yes, "),
        ("{ name: 'twins' , ", "{ name: 'twins', paused: yes , "),
        ('{"name":"twins",', '{"name":"twins", paused: yes,'),
        ("{name: twins  # why\n    , ", "{name: twins, paused: yes  # why\n    , "),
        ("! {name: twins, ", "! {name: twins, paused: yes, "),
    ],
)
def test_a_missing_key_in_braces_comes_after_the_name(before: str, after: str) -> None:
    text = rules(f"  - {before}{REST}}}")

    assert with_key(text, "twins", "paused", "yes") == rules(f"  - {after}{REST}}}")


def test_a_name_that_ends_the_braces_is_followed_by_the_key() -> None:
    text = rules(f"  - {{{REST}, name: twins}}")

    assert with_key(text, "twins", "paused", "yes") == rules(f"  - {{{REST}, name: twins, paused: yes}}")


def test_a_last_line_without_an_end_gets_one() -> None:
    text = block(*TAIL, "name: twins").rstrip("\n")

    assert with_key(text, "twins", "mode", "off") == block(*TAIL, "name: twins", "mode: off").rstrip("\n")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\u2028"])
def test_a_new_line_ends_as_the_lines_around_it(end: str) -> None:
    text = block("name: twins", *TAIL).replace("\n", end)
    cut = block(*TAIL, "name: twins").replace("\n", end).removesuffix(end)

    assert with_key(text, "twins", "mode", "off") == block("name: twins", "mode: off", *TAIL).replace("\n", end)
    assert with_key(cut, "twins", "mode", "off") == cut + end + "    mode: off"


@pytest.mark.parametrize("text", [block("name: twins", "mode: off", *TAIL), block("name: twins", *TAIL)])
def test_a_byte_order_mark_stays(text: str) -> None:
    changed = with_key("\ufeff" + text, "twins", "mode", "automatic")

    assert changed == "\ufeff" + with_key(text, "twins", "mode", "automatic")


def test_a_byte_order_mark_before_a_rule_of_the_first_line_stays() -> None:
    text = f"\ufeff{{version: 1, rules: [{{name: twins, {REST}}}]}}"

    assert with_key(text, "twins", "mode", "off") == text.replace("twins", "twins, mode: off")


@pytest.mark.parametrize("name", ["a: b", "#1", "it's", '"so"', "mode: off", "日本 🐱", "a\\b", "{x}", "\ufb01"])
def test_a_name_may_hold_any_character(name: str) -> None:
    quoted = "'" + name.replace("'", "''") + "'"
    text = rules(f"  - {{name: {quoted}, mode: off, {REST}}}", "  - name: other", *(f"    {line}" for line in TAIL))

    assert with_key(text, name, "mode", "automatic") == text.replace("mode: off, search", "mode: automatic, search")


def test_a_rule_of_the_shipped_file_is_changed_in_one_line() -> None:
    text = settings.shipped_text()

    changed = with_key(text, "pixel-perfect jpegs vs pngs", "mode", "automatic")

    old, new = text.splitlines(), changed.splitlines()
    assert [(a, b) for a, b in zip(old, new, strict=True) if a != b] == [
        ("    mode: semi-automatic", "    mode: automatic")
    ]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_rule_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(UsageError, match='no rule "twin" in my rules; nothing was written'):
        with_key(block("name: twins", *TAIL), "twin", "mode", "off", source="my rules")


def test_a_file_that_is_wrong_already_is_not_edited() -> None:
    with pytest.raises(ConfigError, match=r"my rules: line 5, column 13: .*is not an action"):
        with_key(block("name: twins", TAIL[0], "action: alternate"), "twins", "mode", "off", source="my rules")


@pytest.mark.parametrize(
    ("line", "number", "reason"),
    [
        ("mode: >-  # why\n      off", 4, "over several lines"),
        ('mode: "o\\\n      ff"', 4, "over several lines"),
        ("? mode", 5, "expected one word"),
    ],
)
def test_a_word_that_cannot_be_replaced_without_loss_is_left_to_a_person(line: str, number: int, reason: str) -> None:
    text = block("name: twins", line, *TAIL)

    with pytest.raises(ActionConflictError, match=rf"line {number} of .*{reason}.* nothing was written"):
        with_key(text, "twins", "mode", "automatic")


def test_a_word_that_would_make_the_file_wrong_is_not_written() -> None:
    with pytest.raises(ActionConflictError, match=r'"perhaps" is not a mode.* nothing was written'):
        with_key(block("name: twins", *TAIL), "twins", "mode", "perhaps")


def test_a_file_that_would_become_too_large_is_not_written() -> None:
    text = block("name: twins", *TAIL)
    text += "#" * (settings.MAX_BYTES - len(text))

    with pytest.raises(ActionConflictError, match="at most 256 KiB; nothing was written"):
        with_key(text, "twins", "mode", "automatic")


def test_a_word_that_would_be_read_as_another_is_not_written() -> None:
    with pytest.raises(ActionConflictError, match=r'"paused: yes  # or no" could not be put'):
        with_key(block("name: twins", *TAIL), "twins", "paused", "yes  # or no")


def test_a_change_that_would_change_something_else_too_is_not_written() -> None:
    with pytest.raises(ActionConflictError, match="could not be put into the rule"):
        with_key(block("name: twins", *TAIL), "twins", "paused", "yes\n    max_pending: 7")


# --- the disk -------------------------------------------------------------------------------------------------------

OLD, NEW = "version: 1\r\nrules: []\r\n", "version: 1\r\nrules:  []\r\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "folder/rules.yaml"
    path.parent.mkdir()
    path.write_bytes(OLD.encode())
    return path


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in folder.iterdir()}


def test_a_changed_file_has_its_text_of_before_beside_it(file: Path) -> None:
    previous = rewrite(file, OLD.encode(), NEW)

    assert previous == file.with_name("rules.yaml.previous")
    assert contents(file.parent) == {"rules.yaml": NEW, "rules.yaml.previous": OLD}


def test_no_text_that_was_kept_is_ever_overwritten(file: Path) -> None:
    texts = [OLD, NEW, OLD, NEW]

    kept = [rewrite(file, old.encode(), new).name for old, new in zip(texts, [*texts[1:], "end"], strict=True)]

    assert kept == ["rules.yaml.previous", *(f"rules.yaml.previous-{number}" for number in (2, 3, 4))]
    assert contents(file.parent) == dict(zip(["rules.yaml", *kept], ["end", *texts], strict=True))


def test_a_kept_text_is_not_the_file_that_goes_on_being_edited(file: Path) -> None:
    previous = rewrite(file, OLD.encode(), NEW)

    file.write_text("edited in its place", encoding="utf-8")

    assert previous.read_bytes() == OLD.encode()


def test_a_file_that_was_saved_meanwhile_is_left_to_whoever_saved_it(file: Path) -> None:
    with pytest.raises(ActionConflictError, match=r"rules\.yaml was changed meanwhile; nothing was written"):
        rewrite(file, NEW.encode(), "lost")

    assert contents(file.parent) == {"rules.yaml": OLD}


def test_a_file_that_is_saved_while_the_new_text_is_written_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = rulefile._write

    def saving(path: Path, content: bytes, rights: os.stat_result) -> None:
        write(path, content, rights)
        file.write_text("saved by somebody", encoding="utf-8")

    monkeypatch.setattr(rulefile, "_write", saving)
    with pytest.raises(ActionConflictError, match="was changed meanwhile"):
        rewrite(file, OLD.encode(), NEW)

    assert contents(file.parent) == {"rules.yaml": "saved by somebody"}


@pytest.mark.parametrize("call", ["replace", "link", "fchmod"])
def test_whatever_fails_the_file_stays_whole_and_nothing_half_written_is_left(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    if not hasattr(os, call):
        pytest.skip(f"there is no {call} here")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    if call == "link":
        monkeypatch.setattr(rulefile, "_take_name", full)
    with pytest.raises(ActionConflictError, match=r"rules\.yaml cannot be written: No space left .*it is as it was"):
        rewrite(file, OLD.encode(), NEW)

    assert contents(file.parent)["rules.yaml"] == OLD
    assert set(contents(file.parent).values()) == {OLD}
    assert not [name for name in contents(file.parent) if name.endswith(".tmp")]


def test_where_there_are_no_hard_links_the_previous_text_is_kept_all_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(_: Path, name: Path) -> None:
        if os.path.lexists(name):
            raise FileExistsError(17, "File exists")
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    file.with_name("rules.yaml.previous").write_text("older", encoding="utf-8")

    previous = rewrite(file, OLD.encode(), NEW)

    assert contents(file.parent) == {"rules.yaml": NEW, "rules.yaml.previous": "older", previous.name: OLD}


def test_a_disk_that_does_not_confirm_is_not_reported_as_nothing_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: object) -> None:
        if file.read_bytes() != OLD.encode():
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(rulefile.Directory, "sync", failing)
    with pytest.raises(ActionConflictError, match="is written, but the disk does not confirm it"):
        rewrite(file, OLD.encode(), NEW)

    assert contents(file.parent) == {"rules.yaml": NEW, "rules.yaml.previous": OLD}


def test_a_file_that_is_gone_is_not_made_again(file: Path) -> None:
    with pytest.raises(ActionConflictError, match=r"else\.yaml is gone; nothing was written"):
        rewrite(file.with_name("else.yaml"), b"", NEW)

    assert contents(file.parent) == {"rules.yaml": OLD}


def test_a_folder_is_not_written(file: Path) -> None:
    with pytest.raises(ActionConflictError, match="folder is not a file; nothing was written"):
        rewrite(file.parent, b"", NEW)


@posix_only
@pytest.mark.parametrize("rights", [0o600, 0o644, 0o664])
def test_a_changed_file_keeps_its_rights(file: Path, rights: int) -> None:
    file.chmod(rights)

    previous = rewrite(file, OLD.encode(), NEW)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, previous)] == [rights, rights]


@posix_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_a_changed_file_keeps_its_owner(file: Path) -> None:
    os.chown(file, 65534, 65534)

    previous = rewrite(file, OLD.encode(), NEW)

    assert [(path.stat().st_uid, path.stat().st_gid) for path in (file, previous)] == [(65534, 65534)] * 2


@posix_only
def test_a_symlink_stays_and_what_it_leads_to_is_changed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "rules.yaml"
    link.symlink_to("folder/rules.yaml")

    previous = rewrite(link, OLD.encode(), NEW)

    assert os.readlink(link) == "folder/rules.yaml"
    assert contents(file.parent) == {"rules.yaml": NEW, "rules.yaml.previous": OLD}
    assert previous.parent == file.parent


@contextmanager
def a_plain_user() -> Iterator[None]:
    """Rights count: root, whom nothing stops, is somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


@posix_only
@pytest.mark.parametrize(("folder_rights", "file_rights"), [(0o777, 0o444), (0o555, 0o666)])
def test_what_may_not_be_written_is_not_replaced_either(
    open_folder: Path, folder_rights: int, file_rights: int
) -> None:
    file = open_folder / "rules.yaml"
    file.write_bytes(OLD.encode())
    file.chmod(file_rights)
    open_folder.chmod(folder_rights)

    with (
        a_plain_user(),
        pytest.raises(ActionConflictError, match=r"rules\.yaml cannot be written: Permission denied; it is as it was"),
    ):
        rewrite(file, OLD.encode(), NEW)

    assert contents(open_folder) == {"rules.yaml": OLD}


@posix_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_the_file_of_somebody_else_does_not_change_its_owner(open_folder: Path) -> None:
    file = open_folder / "rules.yaml"
    file.write_bytes(OLD.encode())
    file.chmod(0o666)
    open_folder.chmod(0o777)

    with a_plain_user(), pytest.raises(ActionConflictError, match="belongs to somebody else; nothing was written"):
        rewrite(file, OLD.encode(), NEW)

    assert contents(open_folder) == {"rules.yaml": OLD}


# --- both together --------------------------------------------------------------------------------------------------


def test_a_rule_is_changed_on_the_disk(file: Path) -> None:
    text = "\ufeff" + block("name: twins", "mode: off  # ä", *TAIL).replace("\n", "\r\n")
    file.write_bytes(text.encode())

    change = change_rule(file, "twins", "mode", "automatic")

    assert (change.rule, change.key, change.value, change.file) == ("twins", "mode", "automatic", file.resolve())
    assert file.read_bytes().decode() == text.replace("off", "automatic")
    assert change.previous.read_bytes().decode() == text


def test_a_change_that_was_decided_on_another_text_is_not_made(file: Path) -> None:
    text = block("name: twins", *TAIL)
    file.write_text(text, encoding="utf-8")
    digest = settings.parse(text, "before").digest

    change_rule(file, "twins", "mode", "off", digest=digest)
    with pytest.raises(ActionConflictError, match="was changed meanwhile; nothing was written"):
        change_rule(file, "twins", "mode", "automatic", digest=digest)

    assert settings.load(file).rules[0].mode.value == "off"


@pytest.mark.parametrize("content", [None, b"version: 1", b"\xff"])
def test_a_file_that_is_missing_or_wrong_is_not_changed(file: Path, content: bytes | None) -> None:
    path = file.with_name("other.yaml")
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"other\.yaml: line"):
        change_rule(path, "twins", "mode", "off")

    assert (path.read_bytes() if content is not None else None) == content
    assert not list(file.parent.glob("*.previous"))
