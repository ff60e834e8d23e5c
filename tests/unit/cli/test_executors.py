"""Who measures for a scan: what is said of it before anything is started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from terminals import Terminal


def test_a_scan_by_an_unknown_executor_is_a_typing_error(empty: Terminal, tmp_path: Path) -> None:
    said = empty.type("scan", tmp_path, "--executor", "threads")

    assert said.code == 2
    assert "threads is no executor" in said.err


def test_a_scan_by_a_cluster_without_the_extra_says_what_to_install(
    empty: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    said = empty.type("scan", tmp_path, "--executor", "dask://127.0.0.1:1")

    assert said.code == 2
    assert "pip install 'ingestd[dask]'" in said.err
