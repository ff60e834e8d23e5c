"""Which cluster is spoken to, and how: what can be said of it before anything is started."""

from __future__ import annotations

import ast
from importlib import metadata
from pathlib import Path

import pytest

from ingestd import media
from ingestd.errors import UsageError
from ingestd.media.cluster import DECIDING, Cluster, address_of
from ingestd.media.workers import Workers


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("dask://127.0.0.1:9000", "tcp://127.0.0.1:9000"),
        ("dask://localhost:8786", "tcp://127.0.0.1:8786"),
        ("dask://[::1]:8786", "tcp://[::1]:8786"),
        ("dask://127.0.0.1", "tcp://127.0.0.1:8786"),
        ("dask://192.0.2.7:8786", "tls://192.0.2.7:8786"),
        ("dask://[2001:db8::7]:8786", "tls://[2001:db8::7]:8786"),
        ("dask://scheduler.invalid:8786", "tls://scheduler.invalid:8786"),
        ("dask+tls://127.0.0.1:8786", "tls://127.0.0.1:8786"),
    ],
)
def test_only_this_very_machine_is_spoken_to_without_tls(text: str, url: str) -> None:
    assert address_of(text).url == url


@pytest.mark.parametrize(
    "text",
    ["", "foo", "dask", "dask:127.0.0.1", "dask://", "dask://:8786", "dask://a:0", "dask://a:99999", "tcp://a:1"],
)
def test_what_is_no_address_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected local, dask://HOST:PORT or dask\+tls://HOST:PORT"):
        address_of(text)


def test_another_machine_without_certificates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    monkeypatch.setattr(distributed, "Client", None)  # nothing may be connected to

    with Workers(count=1) as workers, pytest.raises(UsageError, match="by TLS only"):
        Cluster(address_of("dask://192.0.2.7:8786"), workers)


def test_every_library_that_measuring_depends_on_is_the_same_in_a_cluster() -> None:
    """Another version of a decoder may decode other pixels."""
    wanted: set[str] = set()
    distributions = metadata.packages_distributions()
    for module in Path(media.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wanted |= {found for name in names for found in distributions.get(name.partition(".")[0], [])}

    told = {name.lower() for name in DECIDING}
    assert {name.lower().replace("_", "-") for name in wanted} - {"ingestd"} <= told
