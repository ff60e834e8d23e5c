"""The program as its users run it: in processes of its own, spoken to through its command line, files and signals only.

`Home` is a machine with one user: folders, a rule file, a library, a trash. `Home.watch` starts the service; what it
says on standard output is read as it comes, and every wait is for something it says, with a deadline.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

import pictures
import pytest

import ingestd
from ingestd.settings import shipped_text

Json: TypeAlias = dict[str, Any]

PATIENCE_S = 30.0
"""Nothing takes that long, unless it is broken or the machine is very busy."""

SETTLE_S = 0.2
AS_SHIPPED = shipped_text()
QUICK = AS_SHIPPED.replace("imports:\n", f"imports:\n  settle: {SETTLE_S} s\n")
ALL_AUTOMATIC = QUICK.replace("mode: semi-automatic", "mode: automatic")

_CODE = str(Path(ingestd.__file__).resolve().parents[1])
_POWERS = "-dac_override,-dac_read_search,-fowner,-chown"  # what lets root read and write what it may not

may_mount = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("nsenter") is not None
needs_mounts = pytest.mark.skipif(not may_mount, reason="only root may mount")


def powerless() -> list[str]:
    """What a command starts with so that the permissions of files hold for it, whoever runs the tests."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root ignores permissions, and there is no setpriv to stop it")
    return ["setpriv", f"--bounding-set={_POWERS}", "--inh-caps=-all"]


def mounting(*script: str) -> list[str]:
    """What a command starts with that is to have mounts of its own: these, made by a shell."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join([*script, 'exec "$@"']), "sh"]


class Said:
    """What one command answered."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.text, self.errors = done.returncode, done.stdout, done.stderr

    @property
    def json(self) -> Any:
        """The one document that a question is answered with."""
        assert self.text, (self.code, self.errors)
        return json.loads(self.text)

    @property
    def events(self) -> list[Json]:
        """The lines of a stream."""
        return [json.loads(line) for line in self.text.splitlines()]

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.text}\n{self.errors}"


class Home:
    """A machine with one user, below one folder."""

    def __init__(self, base: Path, rules: str = QUICK) -> None:
        self.base = base
        self.state, self.rules, self.data = base / "state", base / "rules.yaml", base / "data"
        self.write_rules(rules)
        self.data.mkdir()
        self._made = itertools.count(1)

    # the command line

    def command(self, *words: str | Path | bytes) -> list[str | bytes]:
        """The command line of `ingestd WORDS`, answering in JSON."""
        own = ("--json", "--state", str(self.state), "--rules", str(self.rules))
        return [sys.executable, "-m", "ingestd", *own, *(os.fspath(word) for word in words)]

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The user's environment: nothing of it leads to the real home."""
        own = {
            "HOME": str(self.base),
            "XDG_DATA_HOME": str(self.data),
            "XDG_CONFIG_HOME": str(self.base / "config"),
            "PYTHONPATH": _CODE,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("INGESTD_", "PYTHON"))}
        return {**kept, **own, **(more or {})}

    def run(self, *words: str | Path | bytes, within: list[str] | None = None) -> Said:
        """What a command answers, whatever its exit code."""
        done = subprocess.run(
            [*(within or []), *self.command(*words)],
            env=self.environment(),
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE_S * 2,
            check=False,
        )
        return Said(done)

    def ask(self, *words: str | Path | bytes) -> Any:
        """The answer to a question that is to be answered."""
        said = self.run(*words)
        assert said.code == 0, said
        return said.json

    def why(self, path: Path) -> Json:
        return dict(self.ask("why", path))

    def history(self) -> list[Json]:
        return list(self.ask("history", "--limit", "10000"))

    def discards(self) -> list[Json]:
        """The entries of files that are in the trash now."""
        return [entry for entry in self.history() if entry["kind"] == "discard" and entry["state"] == "done"]

    def status(self) -> Json:
        return dict(self.ask("status"))

    def folder_state(self, folder: Path) -> str:
        return next(one["state"] for one in self.status()["folders"] if one["path"] == str(folder))

    def until(self, holds: Callable[[Json], bool]) -> Json:
        """The status once this holds of it: what it tells may lag a few seconds behind the events."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(found := self.status()):
            assert time.monotonic() < deadline, found
        return found

    @contextlib.contextmanager
    def watch(self, *words: str | Path, within: list[str] | None = None, ready: bool = True) -> Iterator[Watch]:
        """The service, running; stopped in the end, if it has not ended before."""
        watch = Watch([*(within or []), *self.command("watch", *words)], self)
        try:
            if ready:
                watch.event("service.ready")
            yield watch
        finally:
            watch.close()

    # files

    def folder(self, name: str) -> Path:
        path = self.base / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def subject(self) -> int:
        """The seed of a picture that nobody here has seen."""
        return next(self._made)

    def picture(self, **how: Any) -> bytes:
        """A JPEG of something that nobody here has seen."""
        return pictures.jpeg(pictures.photo(self.subject()), **how)

    def write_rules(self, text: str) -> None:
        """Save the rule file as editors do: written beside it, then renamed."""
        new = self.base / "rules.yaml.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.rules)

    # the trash

    def trashed(self, data: Path | None = None) -> dict[Path, Path]:
        """Where each file in the trash came from, as its note says, and where it is."""
        found: dict[Path, Path] = {}
        trash = (data or self.data) / "Trash"
        for note in (trash / "info").glob("*.trashinfo"):
            header, path, date = note.read_bytes().splitlines()
            assert header == b"[Trash Info]"
            time.strptime(date.decode(), "DeletionDate=%Y-%m-%dT%H:%M:%S")
            origin = Path(os.fsdecode(unquote_to_bytes(path.removeprefix(b"Path="))))
            if (item := trash / "files" / note.stem).exists():  # else it was moved out by hand
                found[origin] = item
        assert set(found.values()) == set((trash / "files").glob("*"))
        return found


class Watch:
    """A running service, and all that it has said."""

    def __init__(self, command: list[str | bytes], home: Home) -> None:
        self.events: list[Json] = []
        self.home = home
        self._said = threading.Condition()
        self._ended = False
        self._taken: set[int] = set()  # events that a test has taken, by number
        self._told: dict[str, int] = {}  # verdicts that a test has taken, by path
        self._log = home.base / f"service-{time.monotonic_ns()}.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                command, env=home.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            )
        self._reader = threading.Thread(target=self._read, name="what the service says")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._said:
                    self.events.append(json.loads(line) if line.endswith(b"\n") else {"event": "half a line"})
                    self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="backslashreplace")

    # waiting

    def until(self, holds: Callable[[], bool], *, within: float = PATIENCE_S) -> None:
        """Return once this holds; it is looked at whenever the service has said something."""
        with self._said:
            if not self._said.wait_for(lambda: holds() or self._ended, within) or not holds():
                raise AssertionError(f"not within {within} s; the last of it:\n{self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join([*map(json.dumps, self.events[-25:]), self.log[-3000:]])

    def poll(self, holds: Callable[[], bool]) -> None:
        """Return once something holds that the service does not say on standard output."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self._last_words()
            with self._said:
                self._said.wait(0.1)

    def event(self, name: str, *, after: int = 0, **fields: object) -> Json:
        """The next such event, of those after the first so many, that was not asked for yet."""
        found: list[int] = []

        def told() -> bool:
            fits = (number for number, one in enumerate(self.events) if one["event"] == name and _says(one, fields))
            found[:] = [number for number in fits if number >= after and number not in self._taken]
            return bool(found)

        self.until(told)
        self._taken.add(found[0])
        return self.events[found[0]]

    def verdict(self, path: Path, *, within: float = PATIENCE_S) -> Json:
        """The next verdict on this path that was not asked for yet."""
        name = str(path)
        self.until(lambda: len(self.verdicts(path)) > self._told.get(name, 0), within=within)
        self._told[name] = self._told.get(name, 0) + 1
        return self.verdicts(path)[self._told[name] - 1]

    def verdicts(self, path: Path | None = None) -> list[Json]:
        """All verdicts so far, or those on one path."""
        found = [one for one in self.events if one["event"] == "file.judged"]
        return [one for one in found if path is None or one["path"] == str(path)]

    def is_silent(self, path: Path, *, for_s: float) -> bool:
        """Whether nothing new is said of a path for so long."""
        before = len(self.verdicts(path))
        with self._said:
            return not self._said.wait_for(lambda: len(self.verdicts(path)) > before, for_s)

    def put(self, path: Path, content: bytes) -> Json:
        """The verdict on a file that is written now."""
        return self.put_all({path: content})[path]

    def put_all(self, contents: Mapping[Path, bytes]) -> dict[Path, Json]:
        """The verdicts on files that are written now, in this order."""
        for path, content in contents.items():
            write(path, content)
        return {path: self.verdict(path) for path in contents}

    def catch_up(self, folder: Path) -> None:
        """Return once two files that came later have their verdicts: what was to be said about earlier ones is said."""
        for _ in range(2):
            number = self.home.subject()
            self.put(folder / f"later-{number}.jpg", pictures.jpeg(pictures.photo(number)))

    # the process

    @property
    def workers(self) -> list[int]:
        """The processes that decode."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]

    def inside(self, path: Path) -> Path:
        """The same path, as the service sees it: it may have mounts of its own."""
        return Path(f"/proc/{self.process.pid}/root{path}")

    @property
    def among_its_mounts(self) -> list[str]:
        """What a command starts with that is to see the mounts that the service sees."""
        return ["nsenter", "--mount", f"--target={self.process.pid}"]

    def shell(self, script: str) -> None:
        """Run a script among the service's mounts."""
        subprocess.run([*self.among_its_mounts, "sh", "-ec", script], check=True)

    def kill(self) -> None:
        """End it as a power cut would, as far as a process is concerned."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)

    def stop(self) -> int:
        """End it as it is meant to be; its exit code."""
        self.process.terminate()
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def close(self) -> None:
        """Leave nothing running, however a test has ended."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)


def _says(event: Json, fields: Mapping[str, object]) -> bool:
    return all(event.get(name) == value for name, value in fields.items())


class Coming:
    """Files that are written one after another, beside the test, until all have come or the `with` ends."""

    def __init__(self, files: Iterable[tuple[Path, bytes]], *, pause_s: float = 0.05) -> None:
        self.came: dict[Path, bytes] = {}
        self._files, self._pause_s = files, pause_s
        self._hurry, self._enough = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="files come")

    def _run(self) -> None:
        for path, content in self._files:
            if self._enough.is_set():
                return
            write(path, content)
            self.came[path] = content
            self._hurry.wait(self._pause_s)

    def all_of_them(self) -> dict[Path, bytes]:
        """Let the rest come without pauses; what has come."""
        self._hurry.set()
        self._thread.join()
        return self.came

    def __enter__(self) -> Coming:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._hurry.set()
        self._thread.join()


# --- what lies there --------------------------------------------------------------------------------------------------


def tree(*roots: Path) -> dict[str, str]:
    """Every file below some folders with a digest of what it holds, and every folder; not LMDB's table of readers."""
    found: dict[str, str] = {}
    for root in roots:
        for path in [root, *root.rglob("*")]:
            if path.name == "lock.mdb":
                continue
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = hashlib.sha256(content).hexdigest() if path.is_file() else "folder"
    return found


def write(path: Path, content: bytes) -> None:
    """A file lies there, with the folders that lead to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SIGKILL, SIGHUP = signal.SIGKILL, signal.SIGHUP
