"""Usage for those who may see the whole installation: lines, and metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from sqlalchemy import Connection, func, select

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.gate import Gate
from store import schema as s
from store.clock import stamp
from store.usage_record import record
from store.usage_report import MEASURES, Line, QuotaLine, lines, listed, quota_lines

PEAKS = frozenset({"memory_bytes"})


def usage_lines(gate: Gate, person: Person, by: str, at: datetime) -> list[Line]:
    """Raises NotAllowed. ``by``: project, person or version."""
    may(gate.engine, person, "view_admin", at).require("see what was used")
    with gate.store.read() as c:
        return lines(c, by)


def quotas(gate: Gate, person: Person, at: datetime) -> list[QuotaLine]:
    """Raises NotAllowed."""
    may(gate.engine, person, "view_admin", at).require("see what was used")
    with gate.store.read() as c:
        return quota_lines(c, stamp(at))


def metrics(gate: Gate, person: Person, at: datetime, *, people: bool = False) -> bytes:
    """Prometheus' text format. Names of people are labels only where the operator wants them. Raises NotAllowed."""
    may(gate.engine, person, "view_admin", at).require("read the metrics")
    registry = CollectorRegistry()
    with gate.store.read() as c:
        registry.register(_Once(list(_families(c, stamp(at), people))))
        return generate_latest(registry)


class _Once(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def _families(c: Connection, now: str, people: bool) -> Iterator[Metric]:
    read = record(c)
    for by in ("project", "version", *(["person"] if people else [])):
        found = listed(read, by)
        for measure in MEASURES:
            yield _family(by, measure, found)
    limits = quota_lines(c, now)
    for kind in ("most", "used"):
        family = GaugeMetricFamily(
            f"glovebox_quota_{kind}",
            f"Quotas of grants in force: {kind}",
            labels=("grant", "project", "version", "name"),
        )
        for line in limits:
            family.add_metric((str(line.grant), line.project, line.version, line.name), getattr(line, kind))
        yield family
    running = select(func.count()).select_from(s.sandbox).where(s.sandbox.c.stopped_at.is_(None))
    yield GaugeMetricFamily(
        "glovebox_sandboxes_running", "Sandboxes that run now", value=c.execute(running).scalar() or 0
    )
    states = GaugeMetricFamily("glovebox_requests", "Release requests by state", labels=("state",))
    table = s.release_request
    for row in c.execute(select(table.c.state, func.count().label("n")).group_by(table.c.state)).all():
        states.add_metric((row.state,), row.n)
    yield states


def _family(by: str, measure: str, found: list[Line]) -> Metric:
    name, said = f"glovebox_{by}_{measure}", f"{measure.replace('_', ' ')} by {by}, as docs/reference/usage.md says"
    kind = GaugeMetricFamily if measure in PEAKS else CounterMetricFamily
    family = kind(name, said, labels=(by,))
    for line in found:
        family.add_metric((line.name,), getattr(line.used, measure))
    return family
