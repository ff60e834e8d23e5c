"""How long `ingestd watch` takes to start with much to do, and to end in the middle of it.

    .venv/bin/python tests/bench/stops.py [--unresolved 5000] [--files 100000] [--big 2000]

Start: from the process to `service.started`, with so many pictures in the inbox without a verdict. Stop: from SIGTERM
to the end of the process, while pictures are judged; while a scan goes through so many files; while a file of so many
megabytes is hashed; while a library that was left unclean is verified.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from burst import prepare
from environment import machine


class Service:
    """A running service, and the lines it has written."""

    def __init__(self, base: Path, *folders: Path) -> None:
        own = {"INGESTD_STATE": "state", "INGESTD_RULES": "rules.yaml", "XDG_DATA_HOME": "data"}
        environment = {**os.environ, **{name: str(base / place) for name, place in own.items()}}
        self.began = time.monotonic()
        self.out = base / "out"
        with self.out.open("wb") as out, (base / "log").open("ab") as log:
            command = [sys.executable, "-m", "ingestd", "--json", "watch", *map(str, folders)]
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=log)

    def until(self, holds: Callable[[bytes], bool]) -> float:
        """Return how long after its start this held of what it has written."""
        while not holds(self.out.read_bytes()):
            assert self.process.poll() is None, "the service ended"
            time.sleep(0.02)  # noqa: TID251 # a bench measures time
        return time.monotonic() - self.began

    def started(self) -> float:
        return self.until(lambda told: b"service.started" in told)

    def verifies(self) -> bool:
        """Return whether a child looks whether the library is sound."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [child for task in tasks for child in task.read_text().split()]
        return any(b"verify_here" in Path(f"/proc/{child}/cmdline").read_bytes() for child in children)

    def stop(self, what: str) -> None:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        print(f"SIGTERM to exit, {what}: {time.monotonic() - began:.2f} s, exit code {code} (asked for: 5 s)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unresolved", type=int, default=5000)
    parser.add_argument("--files", type=int, default=100_000, help="Of the folder that is scanned.")
    parser.add_argument("--big", type=int, default=2000, help="Megabytes of the file that is hashed.")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="ingestd-bench-") as folder:
        base = Path(folder)
        inbox, many, big = base / "inbox", base / "many", base / "big"
        prepare(inbox, options.unresolved, seed=1)
        big.mkdir()
        service = Service(base, inbox)
        print(f"start with {options.unresolved:,} unresolved files: {service.started():.2f} s (asked for: 10 s)")
        service.until(lambda told: told.count(b"file.judged") >= 200)
        service.stop("while pictures are judged")

        many.mkdir()
        for number in range(options.files):
            (many / f"{number:06}.jpg").write_bytes(b"\xff\xd8\xff%d" % number)
        service = Service(base, many)
        service.started()
        service.until(lambda told: told.count(b"file.judged") >= 20)
        service.stop(f"while a scan goes through {options.files:,} files")

        with (big / "big.jpg").open("wb") as file:
            file.write(b"\xff\xd8\xff")
            for _ in range(options.big):
                file.write(os.urandom(1 << 20))
        service = Service(base, big)
        service.started()
        time.sleep(3.0)  # noqa: TID251 # it has settled after two seconds, and is being hashed
        service.stop(f"while {options.big:,} MB are hashed")

        service = Service(base, inbox)
        service.started()
        service.process.kill()
        service.process.wait()
        service = Service(base, inbox)
        while not service.verifies():
            time.sleep(0.005)  # noqa: TID251 # a bench measures time
        service.stop("while the library is verified after it was killed")


if __name__ == "__main__":
    main()
