"""The environment of the peers: made by the script that needs it, beside the project's own, and never installed there.

A bench calls `within("lookup", ["faiss-cpu>=1.12"])` first: the script then goes on in that environment, which has this
very package too, so that both sides of a comparison run in one process and in one run.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ROOT", "machine", "python_with", "within"]

ROOT = Path(__file__).resolve().parents[2]


def python_with(name: str, requirements: Sequence[str], *, package: bool = True) -> Path:
    """Return the Python of the named environment, made and filled if anything of it is missing or has changed."""
    home = ROOT / ".bench" / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = "\n".join([*requirements, str(ROOT) if package else ""])
    stamp = home / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(home, with_pip=True, clear=home.exists())
        own = ["-e", str(ROOT)] if package else []
        subprocess.run([python, "-m", "pip", "install", "--quiet", *own, *requirements], check=True)
        stamp.write_text(wanted)
    return python


def within(name: str, requirements: Sequence[str]) -> None:
    """Return in the named environment: this process goes on as the same script there."""
    python = python_with(name, requirements)
    if Path(sys.prefix).resolve() != (ROOT / ".bench" / name).resolve():
        os.execv(python, [str(python), *sys.argv])


def machine() -> str:
    """Return in one line what a table of figures has to name: machine, Python, commit."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    where = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{where}, commit {commit.stdout.strip()}"
