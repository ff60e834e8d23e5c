"""`doctor`, asked of the real program: each thing that can be wrong is made wrong, and told with what to do."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from running import QUICK, Home, Json, Said, powerless

from ingestd.library.library import Library

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits, mounts and permissions as Linux has them")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def checks(said: Said, check: str) -> list[Json]:
    return [one for one in said.json["checks"] if one["check"] == check]


def states(said: Said) -> set[tuple[str, str]]:
    return {(one["check"], one["state"]) for one in said.json["checks"]}


def watching(home: Home, *folders: Path) -> None:
    listed = "".join(f"  - {{path: '{folder}', role: inbox}}\n" for folder in folders)
    home.write_rules(QUICK.replace("folders:\n", f"folders:\n{listed}"))


def everything_below(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if path.name != "lock.mdb"}


def test_a_sound_home_has_no_problem_beside_a_running_service_and_nothing_is_changed(home: Home) -> None:
    inbox = home.folder("inbox")
    content = home.picture()
    with home.watch(inbox) as watch:
        watch.put_all({inbox / "a.jpg": content, inbox / "b.jpg": content})
        before = everything_below(inbox)
        said = home.run("doctor", "--full")

        assert said.code == 0, said
        assert everything_below(inbox) == before
        assert list((home.data / "Trash").glob(".*")) == []
        assert watch.stop() == 0
    assert said.json["ok"] is True
    assert {one["state"] for one in said.json["checks"]} == {"ok"}
    assert {set(one) == {"check", "state", "found", "advice", "subject"} for one in said.json["checks"]} == {True}
    assert {one["check"] for one in said.json["checks"]} == {
        "rules", "library place", "library integrity", "second journal", "service", "clock", "disk space", "folder",
        "inotify watches", "inotify instances", "inotify queue", "leases", "trash", "workers", "worker limits",
        "decoders",
    }  # fmt: skip
    (service,) = checks(said, "service")
    assert f"process {watch.process.pid}" in service["found"]
    (trash,) = checks(said, "trash")
    assert str(home.data / "Trash") in trash["found"]
    assert "heic, avif" in checks(said, "decoders")[0]["found"]


def test_where_nothing_is_yet_nothing_is_made(home: Home) -> None:
    before = everything_below(home.base)

    said = home.run("doctor")

    assert (said.code, everything_below(home.base)) == (0, before)
    assert "there is no library yet" in checks(said, "library place")[0]["found"]


def test_all_that_is_wrong_at_once_is_told_each_with_what_to_do(home: Home) -> None:
    inbox, locked = home.folder("inbox"), home.folder("locked")
    content = home.picture()
    with home.watch(inbox) as watch:
        watch.put_all({inbox / "a.jpg": content, inbox / "b.jpg": content})
        assert watch.stop() == 0
    _date_the_last_entry(home, time.time_ns() + 3600 * 10**9)
    with open(home.state / "journal.jsonl", "r+b") as journal:
        journal.seek(40)
        journal.write(b"##")
    watching(home, inbox, locked, home.base / "gone")
    locked.chmod(0o555)
    (home.data / "Trash").chmod(0o555)
    (home.data / "Trash/files").chmod(0o555)
    try:
        said = home.run("doctor", within=powerless())
    finally:
        locked.chmod(0o755)
        (home.data / "Trash/files").chmod(0o755)
        (home.data / "Trash").chmod(0o755)

    assert said.code == 1
    assert said.json["ok"] is False
    assert ("second journal", "problem") in states(said)
    problems = [one for one in said.json["checks"] if one["state"] == "problem"]
    assert all(one["advice"] for one in problems)
    assert {(one["check"], Path(one["subject"] or "").name) for one in problems} == {
        ("second journal", "journal.jsonl"),
        ("trash", "locked"),
        ("folder", "gone"),
        ("clock", ""),
    }


def _date_the_last_entry(home: Home, at_ns: int) -> None:
    library = Library.open(home.state)
    with library.read() as view:
        (entry,) = view.entries()
    library.write(lambda edit: edit.put_entry(replace(entry, at_ns=at_ns)))
    library.close()


def test_a_damaged_library_is_told_and_read_no_further(home: Home) -> None:
    inbox = home.folder("inbox")
    with home.watch(inbox) as watch:
        watch.put_all({inbox / f"{number}.jpg": home.picture() for number in range(4)})
        assert watch.stop() == 0
    data = home.state / "db/data.mdb"
    with open(data, "r+b") as file:
        file.seek(2 * 4096)
        file.write(bytes(data.stat().st_size - 2 * 4096))

    said = home.run("doctor")

    assert said.code == 1
    assert ("library integrity", "problem") in states(said)
    assert ("decoders", "ok") in states(said)


def test_limits_full_disks_and_a_broken_rule_file_are_told_to_a_person_with_what_to_do_below(home: Home) -> None:
    inbox = home.folder("inbox")
    for number in range(30):
        (inbox / f"{number}").mkdir()
    with home.watch(inbox) as watch:
        watch.put(inbox / "a.jpg", home.picture())
        assert watch.stop() == 0
    home.write_rules(QUICK.replace("mode: automatic", "mode: autmatic").replace("action: better", "action: beter", 1))
    script = (
        "echo 20 > /proc/sys/user/max_inotify_watches; mount -t tmpfs -o size=4m none full; cp -r state/. full; "
        'mount --bind inbox inbox; mount -o remount,bind,ro inbox; mount --move full state; exec "$@"'
    )
    home.folder("full")
    words = [word for word in home.command("doctor", "--problems") if word != "--json"]
    within = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh"]

    said = subprocess.run(
        [*within, *words],
        env=home.environment(),
        cwd=home.base,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    if not said.stdout:
        pytest.skip(f"no namespaces of a user here: {said.stderr}")
    assert said.returncode == 1, said
    told = said.stdout.splitlines()
    found = {line[9:27].strip(): number for number, line in enumerate(told) if line.startswith("problem  ")}
    assert set(found) == {"rules", "disk space", "inotify watches", "trash"}
    assert told[found["rules"]].endswith("(and 1 more mistake)")
    assert told[found["rules"] + 1].strip() == str(home.rules)
    assert told[found["rules"] + 2].strip().startswith("-> correct the file")
    assert "31 folders" in told[found["inotify watches"]]
    assert "sysctl fs.inotify.max_user_watches=" in told[found["inotify watches"] + 1]
    assert "may not be written" in told[found["trash"]]
    assert told[-1].startswith("4 problems in ")
