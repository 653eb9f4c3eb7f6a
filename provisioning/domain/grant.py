"""A grant: a steward's consent to one project's use of one dataset version for one purpose until a date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from provisioning.domain.errors import GrantRefused


@dataclass(frozen=True)
class Grant:
    id: int
    project: str
    version: str
    purpose: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)

    def in_force(self, at: datetime) -> bool:
        """Begun, not revoked and not over at ``at``; the end itself is already outside."""
        return self.granted_at <= at < self.expires_at and (self.revoked_at is None or at < self.revoked_at)


def normalised(purpose: str) -> str:
    """A purpose as it is compared: a line break or a double space is not another purpose."""
    return " ".join(purpose.split())


def check_new(
    *,
    actor: str,
    stewards: tuple[str, ...],
    version: str,
    version_state: str,
    purpose: str,
    project_purpose: str,
    project_state: str,
    expires_at: datetime,
    at: datetime,
    kept_until: date | None = None,
) -> None:
    """Raises GrantRefused unless this steward may consent to this use now. ``kept_until``: the last day on which the data may be there."""
    if actor not in stewards:
        raise _refused(version, "Only a steward of the dataset can grant it.", f"Ask one of: {', '.join(stewards)}.")
    if version_state != "available":
        raise _refused(version, "This version was destroyed.", "Grant a newer version.")
    if normalised(purpose) != normalised(project_purpose):
        raise _refused(
            version, "Its purpose is not the project's.", "Use the project's own purpose, or make another project."
        )
    if project_state != "active":
        raise _refused(version, f"The project is {project_state}.", "Grant to an active project.")
    if expires_at <= at:
        raise _refused(version, "Its end lies in the past.", "Give an end date that is still to come.")
    if kept_until is not None and expires_at > end_of(kept_until):
        raise _refused(
            version,
            f"It would outlast the data, which is kept until {kept_until.isoformat()}.",
            "Give an earlier end; a steward changes the date in the datasheet.",
        )


def end_of(day: date) -> datetime:
    """The first moment after a day, UTC."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def check_quotas(version: str, quotas: Mapping[str, int], known: Sequence[str]) -> None:
    """Raises GrantRefused for a quota that nothing counts, or that is not a whole number above nothing."""
    for name, most in quotas.items():
        if name not in known or isinstance(most, bool) or not isinstance(most, int) or not 1 <= most < 2**53:
            raise _refused(
                version, f"Its quota {name[:40]!a} cannot be held.", f"Use whole numbers for: {', '.join(known)}."
            )


def check_masking(version: str, masked_for: str | None, project: str) -> None:
    """Raises GrantRefused for a version whose pseudonyms belong to another project: two projects could be linked."""
    if masked_for is not None and masked_for != project:
        raise _refused(
            version,
            f"It was masked for project {masked_for}, with that project's own pseudonyms.",
            "Mask the delivered version for this project and grant that.",
        )


def check_revocation(grant: Grant, *, actor: str, stewards: tuple[str, ...]) -> None:
    """Raises GrantRefused for somebody who is not a steward and for a grant that is revoked already."""
    check_steward(grant, "revoked", actor=actor, stewards=stewards)


def check_steward(grant: Grant, done: str, *, actor: str, stewards: tuple[str, ...]) -> None:
    """Raises GrantRefused for somebody who is not a steward and for a grant that is revoked already."""
    if actor not in stewards:
        raise GrantRefused(
            f"Grant {grant.id} was not {done}.",
            why=f"Only a steward of the dataset can have its grants {done}.",
            do=f"Ask one of: {', '.join(stewards)}.",
        )
    if grant.revoked_at is not None:
        raise GrantRefused(
            f"Grant {grant.id} was not {done}.", why="It is revoked already.", do="Nothing is left to do."
        )


def _refused(version: str, why: str, do: str) -> GrantRefused:
    return GrantRefused(f"{version} was not granted.", why=why, do=do)
