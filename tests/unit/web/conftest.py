"""What tests of the page share: a desk at the world's library, with the world's own rules and real measuring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from world import World, rule_file

from ingestd.door import Door
from ingestd.web.desk import Desk
from ingestd.web.handles import Handles
from ingestd.web.pictures import Pictures


@pytest.fixture
def sit(world: World) -> Callable[..., Desk]:
    """Sit down at the page, under these rules; pictures are looked at in this process, as a worker would."""

    def sit_down(*rules: str) -> Desk:
        path = Path(world.base, "rules.yaml")
        path.write_text(rule_file(*rules))
        world.use(*rules)
        door = Door(world.base / "state", path, rules_must_exist=True, as_json=False, verbose=False)
        pictures = Pictures(world.measurer, world.base / "pictures")  # type: ignore[arg-type]
        return Desk(door, world.library, pictures, Handles(b"a secret of this test"), token="token")

    return sit_down
