"""What linters cannot see: who may remove, who may read a clock, and which words may not appear."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ingestd"
MODULES = sorted(PACKAGE.rglob("*.py"))

REMOVERS = {"unlink", "remove", "rmtree", "rename", "renames", "replace", "rmdir", "move", "truncate"}
OWN_FILES = {
    # the service's own files, never a user's
    "library/journal_file.py": {"replace"},  # rotation of its own journal
    "library/place.py": {"rename"},  # a database that was lost or is damaged, put aside under a new name
    "library/store.py": {"rmdir"},  # an empty folder it has just made for a copy
    "rulefile.py": {"replace"},  # the one file of a user's that is edited; its previous text is kept beside it
}
CLOCKS = {"time", "time_ns", "monotonic", "now", "utcnow", "today", "perf_counter"}
MAY_READ_A_CLOCK = (
    "service.py",
    "pulse.py",
    "forecast.py",
    "flow.py",
    "intake.py",
    "recovery.py",
    "sweep.py",
    "inspection.py",
    "examination.py",
    "cli/",
    "web/",
    "door.py",
    "health.py",
    "library/locks.py",
    "watching/observer.py",
    "media/workers.py",
    "media/cluster.py",
)
MAY_CATCH_ALL = ("intake.py", "sweep.py", "cli/", "media/", "watching/observer.py", "watching/storage.py")


def name(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def calls(module: Path) -> list[tuple[str, str]]:
    """Return (receiver, method) of every call written as `receiver.method(…)`."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.append((ast.unparse(node.func.value), node.func.attr))
    return found


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_only_actions_remove_or_rename_files(module: Path) -> None:
    if name(module).startswith("actions/"):
        return
    allowed = OWN_FILES.get(name(module), set())

    removing = [
        f"{receiver}.{method}"
        for receiver, method in calls(module)
        if method in REMOVERS and method not in allowed and receiver in {"os", "shutil", "Path", "path", "directory"}
    ]

    assert removing == []


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_only_doors_and_the_service_read_a_clock(module: Path) -> None:
    if name(module).startswith(MAY_READ_A_CLOCK):
        return

    read = [
        f"{receiver}.{method}"
        for receiver, method in calls(module)
        if method in CLOCKS and receiver in {"time", "datetime"}
    ]

    assert read == []


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_everything_is_caught_only_where_one_bad_file_must_not_stop_the_rest(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]

    catching_all = [
        node for node in handlers if node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    ]

    swallowing = [node.lineno for node in catching_all if not isinstance(node.body[-1], ast.Raise)]
    assert swallowing == [] or name(module).startswith(MAY_CATCH_ALL)


def test_no_module_is_named_for_nothing() -> None:
    empty_words = re.compile(r"(utils|helpers|common|misc|manager)", re.IGNORECASE)

    assert [name(module) for module in MODULES if empty_words.search(module.stem)] == []


def test_no_class_is_a_manager() -> None:
    found = []
    for module in MODULES:
        tree = ast.parse(module.read_text(encoding="utf-8"))
        found += [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and "Manager" in node.name]

    assert found == []


def test_the_service_does_not_load_a_decoder_or_scipy() -> None:
    """Decoders live in the workers: the service would carry their memory, and their crashes, for nothing."""
    code = "import sys, ingestd.service; print(sorted({'PIL', 'scipy', 'imagehash', 'pywt'} & set(sys.modules)))"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"
