"""What the keeper asks and records: which projects a person may open, what to mount, that a sandbox began and ended.

`store_book.StoreBook` is the real one; tests of the engine's side pass a fake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from provisioning.domain.mount_plan import MountPlan
    from provisioning.domain.standing import Standing
    from provisioning.sandbox.isolation import Proof
    from provisioning.service.sessions import ProjectChoice


class SessionBook(Protocol):
    """The decisions and the record behind a sandbox. All methods may raise a Fault; none touches the engine."""

    def projects(self, person: str, groups: Sequence[str]) -> list[ProjectChoice]: ...

    def plan(self, person: str, groups: Sequence[str], project: str) -> MountPlan: ...

    def started(
        self, plan: MountPlan, sandbox_id: str, server_name: str, container: str, image_digest: str, proof: Proof
    ) -> None: ...

    def stopped(self, sandbox_id: str, reason: str, used: Mapping[str, int] | None = None) -> None: ...

    def measured(self, sandbox_id: str, used: Mapping[str, int]) -> None:
        """Write down what a running sandbox has used so far."""
        ...

    def refused(
        self, plan: MountPlan, sandbox_id: str, server_name: str, container: str, image_digest: str, proof: Proof
    ) -> None: ...

    def open_sandboxes(self) -> dict[str, str]:
        """Sandbox id to container id of every sandbox recorded as started and not stopped."""
        ...

    def standing(self, sandbox_id: str, live: Mapping[str, Mapping[str, int]]) -> Standing:
        """Why a running sandbox may no longer run (its grant, project, membership or quota ended), and what to warn of.

        ``live``: by sandbox, what was measured and is not yet written down."""
        ...
