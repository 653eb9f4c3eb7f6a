"""The reference page names every endpoint and every code of the gate's two APIs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from egress_gate.desk.analyst_api import build_analyst_api
from egress_gate.desk.faults import STATUS
from tests.unit.gate.desks import PREFIX, browser, make_desk
from tests.unit.gate.factory import World, make_world

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text("utf-8")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "home")


def test_every_analyst_endpoint_is_documented(world: World) -> None:
    for path in build_analyst_api(world.gate, world.clock).openapi()["paths"]:
        assert path.replace("{name}", "R-17") in PAGE


def test_every_desk_endpoint_is_documented(world: World) -> None:
    spec = browser(make_desk(world)).get(PREFIX + "api/openapi.json").json()
    for path in spec["paths"]:
        last = path.removeprefix(PREFIX + "api/v1/").replace("{name}", "R-17").replace("{number}", "1")
        assert last in PAGE or last.rpartition("/")[2] in PAGE, path


def test_every_code_is_documented() -> None:
    listed = set(re.findall(r"[a-z]+(?:-[a-z]+)*", PAGE.partition("## Codes")[2]))
    assert set(STATUS) - {"wrong-method"} <= listed


def test_every_desk_answer_declares_the_one_shape_of_errors(world: World) -> None:
    spec = browser(make_desk(world)).get(PREFIX + "api/openapi.json").json()
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            answer = operation["responses"]["403"]["content"]["application/json"]["schema"]
            assert answer == {"$ref": "#/components/schemas/Problem"}, (method, path)
