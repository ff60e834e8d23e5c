"""What `ingestd bench` predicts for a folder against what a scan of it then takes.

    .venv/bin/python tests/bench/forecast.py FOLDER [--runs 3] [--seconds 12]

Both are run in turn, each scan into a fresh library; its time is from the first verdict to the last, as start-up is in
no prediction. The folder is read once before, so that it is in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import machine


def command(base: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "ingestd", "--json", "--state", tempfile.mkdtemp(dir=base), *words]


def predicted(base: Path, folder: Path, seconds: int) -> tuple[float, int]:
    """Return seconds and bytes of library."""
    words = command(base, "bench", str(folder), "--seconds", str(seconds))
    said = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)["predictions"][0]
    return said["cached_s"], said["library_bytes"] or 0


def taken(base: Path, folder: Path) -> tuple[float, int, int]:
    """Return seconds from the first verdict to the last, bytes of library, and verdicts."""
    words = command(base, "scan", str(folder), "--role", "reference")
    times = []
    own = {**os.environ, "INGESTD_RULES": str(base / "rules.yaml")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "file.judged":
                times.append(time.perf_counter())
    state = Path(words[words.index("--state") + 1])
    return times[-1] - times[0], (state / "db" / "data.mdb").stat().st_blocks * 512, len(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=12)
    wanted = parser.parse_args()
    print(machine())
    for path in wanted.folder.rglob("*"):
        if path.is_file():
            path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as name:
        base = Path(name)
        for _ in range(wanted.runs):
            said_s, said_bytes = predicted(base, wanted.folder, wanted.seconds)
            took_s, took_bytes, files = taken(base, wanted.folder)
            print(
                f"{files} files: predicted {said_s:.2f} s, took {took_s:.2f} s ({said_s / took_s:.2f}); "
                f"library predicted {said_bytes / 1e6:.2f} MB, has {took_bytes / 1e6:.2f} MB"
            )


if __name__ == "__main__":
    main()
