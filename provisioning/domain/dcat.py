"""The catalogue in W3C's DCAT 3 as JSON-LD: descriptions for other catalogues to harvest, never data or figures of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from provisioning.domain.dataset import AVAILABLE, Dataset, RegisteredTable

_CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "spdx": "http://spdx.org/rdf/terms#",
    "csvw": "http://www.w3.org/ns/csvw#",
}
_SAID = {"source": "dcterms:source", "legal_basis": "dcterms:rights", "retention_until": "dcterms:valid"}


def catalogue(
    address: str,
    datasets: Iterable[Dataset],
    tables: Mapping[str, Sequence[RegisteredTable]],
    sheets: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """A catalogue under ``address``; ``tables`` by version id, ``sheets`` (what people said) by dataset.

    Destroyed versions stay named, without distributions."""
    return {
        "@context": _CONTEXT,
        "@id": f"{address}/catalogue",
        "@type": "dcat:Catalog",
        "dcterms:title": "Datasets of this installation",
        "dcat:dataset": [_dataset(address, each, tables, sheets.get(each.name, {})) for each in datasets],
    }


def _dataset(
    address: str, found: Dataset, tables: Mapping[str, Sequence[RegisteredTable]], said: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "@id": f"{address}/datasets/{found.name}",
        "@type": "dcat:Dataset",
        "dcterms:identifier": found.name,
        "dcterms:title": found.title,
        "dcterms:description": found.description,
        "dcterms:publisher": {"@type": "foaf:Organization", "foaf:name": found.provider},
        "dcterms:accessRights": f"{int(found.classification)} {found.classification.word}",
        "dcterms:issued": found.registered_at,
        **{term: said[word] for word, term in _SAID.items() if said.get(word)},
        "dcat:hasVersion": [
            {
                "@id": f"{address}/datasets/{version.id}",
                "@type": "dcat:Dataset",
                "dcat:version": str(version.number),
                "dcterms:issued": version.registered_at,
                "spdx:checksum": _checksum(version.digest),
                "dcterms:type": version.state,
                "dcat:distribution": [
                    _distribution(address, version.id, table)
                    for table in (tables.get(version.id, ()) if version.state == AVAILABLE else ())
                ],
            }
            for version in found.versions
        ],
    }


def _distribution(address: str, version: str, table: RegisteredTable) -> dict[str, Any]:
    """What a table consists of. There is no download address: data is used in a sandbox, by grant."""
    return {
        "@id": f"{address}/datasets/{version}/{table.name}",
        "@type": "dcat:Distribution",
        "dcterms:title": table.name,
        "dcat:mediaType": "application/vnd.apache.parquet",
        "spdx:checksum": _checksum(table.digest),
        "csvw:tableSchema": {
            "csvw:column": [
                {
                    "csvw:name": c.name,
                    "csvw:datatype": c.type,
                    **({"dcterms:description": c.meaning} if c.meaning else {}),
                }
                for c in table.columns
            ]
        },
    }


def _checksum(digest: str) -> dict[str, str]:
    return {"spdx:algorithm": "sha256", "spdx:checksumValue": digest}
