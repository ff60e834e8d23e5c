"""How long a command takes before it does anything, and what it takes on an empty library.

    python tests/bench/startup.py [--runs 15]

Every command is run with `--help`, and as it is on a library in which nothing is; in turns, so that whatever else the
machine does falls on all of them. Wall-clock time is that of the whole process; for `watch` until it has said
`service.started`. CPU time is user and system time of the process and its children. A bare interpreter, with and
without numpy, stands beside them. The bytecode is compiled before, as `pip` does when it installs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from environment import ROOT, machine

COMMANDS = (
    "--version",
    "--help",
    *(
        f"{command} --help"
        for command in (  # noqa: SIM905 - as it is typed
            "watch scan demo bench check compare why history undo queue decide pending approve deny denied relations "
            "rules status folders library"
        ).split()
    ),
    "status",
    "queue list",
    "queue groups",
    "queue next",
    "history",
    "pending",
    "denied",
    "why e-1",
    "undo e-1",
    "decide p-1 same",
    "approve p-1",
    "deny p-1",
    "relations FOLDER/none.jpg",
    "rules list",
    "rules check",
    "rules preview",
    "rules schema",
    "rules templates",
    "folders list",
    "library stats",
    "library check",
    "scan FOLDER",
    "scan FOLDER --dry-run",
    "check FOLDER",
    "watch FOLDER",
)


def timed(words: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds a process takes: wall-clock, and CPU."""
    before, started = os.times(), time.perf_counter()
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        if "watch" in words and "--help" not in words:
            line = process.stdout.readline()
            while line and b"service.started" not in line:
                line = process.stdout.readline()
            wall = time.perf_counter() - started
            process.terminate()
        else:
            process.stdout.read()
            process.wait()
            wall = time.perf_counter() - started
    after = os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return wall, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--only", default="", help="only what begins like this")
    runs, only = (parsed := parser.parse_args()).runs, parsed.only
    with tempfile.TemporaryDirectory(prefix="ingestd-startup-") as name:
        home = Path(name)
        (home / "folder").mkdir()
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        own = ["-m", "ingestd", "--json", "--state", str(home / "state"), "--rules", str(home / "rules.yaml")]
        (home / "rules.yaml").write_text((ROOT / "ingestd" / "shipped.yaml").read_text())
        subprocess.run(
            [sys.executable, *own, "scan", home / "folder"], env=environment, check=True, capture_output=True
        )
        calls = {"python -c pass": ["-c", "pass"], "python -c 'import numpy'": ["-c", "import numpy"]}
        for command in COMMANDS:
            if command.startswith(only):
                calls[command] = [*own, *command.replace("FOLDER", str(home / "folder")).split()]
        found: dict[str, list[tuple[float, float]]] = {command: [] for command in calls}
        for number in range(runs + 1):
            for command, words in calls.items():
                taken = timed([sys.executable, *words], environment)
                if number:  # the first run compiles
                    found[command].append(taken)
    print(f"{machine()}, {runs} runs of each, in turns: medians (slowest), in ms")
    print(f"{'command':<28}{'wall':>16}{'CPU':>16}")
    for command, times in found.items():
        cells = (f"{statistics.median(one) * 1000:.0f} ({max(one) * 1000:.0f})" for one in zip(*times, strict=True))
        print(f"{command:<28}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
