"""A dataset's datasheet: what people say of it goes on the record; with columns, masking and a protected profile it is one page."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Connection

from installation.settings import Settings
from ledger.entry import Entry
from policy_engine import PolicyEngine
from provisioning.domain import names, sheet
from provisioning.domain.dataset import parse_version
from provisioning.domain.errors import ProvisioningFault, RegistrationRefused, not_found
from provisioning.intake.engine import literal
from provisioning.intake.protected_profile import protected_profile
from provisioning.service.certificates import certificate_path
from provisioning.service.datasheet import opened_tables
from provisioning.store import catalogue
from store.database import Database


def describe(db: Database, *, dataset: str, text: str, actor: str, at: datetime) -> dict[str, Any]:
    """Put what people say of a dataset on the record; the parts given replace those said before.

    Raises NotFound, RegistrationRefused for a datasheet that is not whole, or from somebody who is no steward of the dataset.
    """
    names.person(actor)
    with db.transaction(at) as t:
        known = catalogue.known_dataset(t, names.slug("dataset", dataset))
        if known is None:
            raise not_found("dataset", dataset, "./glovebox dataset list")
        _, stewards = known
        if actor not in stewards:
            raise RegistrationRefused(
                f"{dataset} was not described.",
                why="Only a steward of the dataset says and confirms what its columns are.",
                do=f"Ask one of: {', '.join(stewards)}.",
            )
        said = sheet.parse(text, catalogue.columns_of(t, dataset))
        whole = {**catalogue.sheet_of(t, dataset), **said, "described_by": actor, "described_at": t.at}
        catalogue.put_sheet(t, dataset, whole)
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        t.record(Entry("dataset.described", actor, {"dataset": dataset}, {"parts": sorted(said), "sha256": digest}))
    return whole


def full_sheet(db: Database, policies: PolicyEngine, settings: Settings, version: str) -> dict[str, Any]:
    """Everything about a version that may be shown outside. Raises NotFound, ProvisioningFault, PolicyUnavailable."""
    with db.read() as c:
        made = _described(c, version)
    made["certificate"] = certificate_path(settings, "registered", version).is_file()
    least = _least(policies, made["classification"])
    profiles = {}
    with opened_tables(db, settings, version) as (tables, connection):
        for table, path in tables:
            relation = f"read_parquet({literal(str(path))})"
            profiles[table.name] = protected_profile(connection, relation, table, least)
    return {**made, "profile": profiles}


def as_html(found: dict[str, Any], language: str = "en") -> str:
    """The datasheet as one page that needs nothing else. ``language``: en or zh_Hans."""
    pages = Environment(
        loader=PackageLoader("provisioning.service", "pages"), autoescape=True, undefined=StrictUndefined
    )
    words = _words(language)
    page = pages.get_template("datasheet.html.jinja")
    return page.render(sheet=found, _=lambda text, **parts: words.get(text, text) % parts, language=language)


@lru_cache
def _words(language: str) -> dict[str, str]:
    """What the page says, and how it is said in ``language``; empty for English."""
    path = Path(__file__).with_name("pages") / f"datasheet.{language}.po"
    if not path.exists():
        return {}
    with path.open("rb") as source:
        return {str(one.id): str(one.string) for one in read_po(source, locale=language) if one.id and one.string}


def _described(c: Connection, version: str) -> dict[str, Any]:
    name, _ = parse_version(version)
    known, found = catalogue.dataset(c, name), catalogue.version(c, version)
    if known is None or found is None:
        raise not_found("dataset version", version, "./glovebox dataset list")
    said, recipe = catalogue.sheet_of(c, name), catalogue.recipe_of(c, version)
    units, marks, proposed = said.get("units", {}), said.get("identifiers", {}), said.get("proposed", {})
    return {
        "version": version,
        "digest": found.digest,
        "registered_at": found.registered_at,
        "registered_by": found.registered_by,
        "title": known.title,
        "description": known.description,
        "provider": known.provider,
        "stewards": list(known.stewards),
        "classification": int(known.classification),
        "classification_word": known.classification.word,
        **{
            part: said.get(part)
            for part in ("source", "legal_basis", "retention_until", "described_by", "described_at")
        },
        "scan": said.get("scan"),
        "keys": said.get("keys", {}),
        "masking": {**recipe, "sha256": _digest_of(recipe["recipe"])} if "recipe" in recipe else recipe,
        "tables": [
            {
                "name": table.name,
                "digest": table.digest,
                "privacy_unit": table.unit or "each row",
                "columns": [
                    {
                        **column.facts(),
                        "unit": units.get(f"{table.name}.{column.name}"),
                        "identifier": marks.get(f"{table.name}.{column.name}"),
                        "proposed": proposed.get(f"{table.name}.{column.name}", {}).get("role"),
                    }
                    for column in table.columns
                ],
            }
            for table in catalogue.tables_of(c, version)
        ],
    }


def _digest_of(recipe: Any) -> str:
    """Which version of a recipe it is: the same digest is the same recipe, whatever it was used for."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _least(policies: PolicyEngine, level: int) -> int:
    """The fewest people that the gate lets a figure of this level be about."""
    told = policies.query("release/parameters", {"classifications": [level]}).result
    try:
        least = int(told["min_contributors"])
        if least < 1:
            raise ValueError("out of range")
    except (KeyError, TypeError, ValueError) as odd:
        raise ProvisioningFault(
            "The datasheet was not made.",
            why="Policy has no figures for this level.",
            do="Look at policies/data/levels.json.",
        ) from odd
    return least
