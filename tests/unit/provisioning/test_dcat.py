"""The exported catalogue describes and never tells figures of the data."""

from __future__ import annotations

import json

from provisioning.service import catalogue, destruction
from tests.unit.provisioning.world import CSV, START, World


def exported(world: World) -> dict[str, object]:
    with world.db.read() as c:
        return catalogue.export_dcat(c, "https://data.example/")


def test_datasets_versions_and_columns_are_described(world: World) -> None:
    world.register()
    world.register(content=CSV + "4,33,\n")
    (dataset,) = exported(world)["dcat:dataset"]  # type: ignore[misc]
    assert dataset["@id"] == "https://data.example/datasets/nafld"  # type: ignore[index]
    assert dataset["dcterms:accessRights"] == "3 sensitive"  # type: ignore[index]
    assert [v["dcat:version"] for v in dataset["dcat:hasVersion"]] == ["1", "2"]  # type: ignore[index]
    (table,) = dataset["dcat:hasVersion"][0]["dcat:distribution"]  # type: ignore[index]
    assert [c["csvw:name"] for c in table["csvw:tableSchema"]["csvw:column"]] == ["id", "age", "event"]


def test_no_address_of_data_and_no_number_of_rows(world: World) -> None:
    world.register()
    text = json.dumps(exported(world))
    assert "downloadURL" not in text
    assert "accessURL" not in text
    assert "rows" not in text
    assert str(world.home) not in text


def test_a_destroyed_version_stays_named(world: World) -> None:
    world.register()
    destruction.destroy_version(world.db, world.settings, version="nafld/1", reason="Over.", actor="stella", at=START)
    (version,) = exported(world)["dcat:dataset"][0]["dcat:hasVersion"]  # type: ignore[index]
    assert (version["dcterms:type"], version["dcat:distribution"]) == ("destroyed", [])


def test_an_empty_catalogue_is_a_catalogue(world: World) -> None:
    assert exported(world)["dcat:dataset"] == []
