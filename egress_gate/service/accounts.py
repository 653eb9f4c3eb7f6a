"""Who has an account and in which role. The hub keeps both; the ledger keeps who changed them.

The hub's database is not ours, so that a change and its entry cannot be one transaction. The entry is written first: no change is
without its entry, and an entry whose change the hub refused is followed by one that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, Protocol, cast

from sqlalchemy import insert, update

from egress_gate.policy.ask import may
from egress_gate.policy.facts import Person
from egress_gate.service.errors import Conflict, Malformed, NotReady, no_such
from egress_gate.service.gate import Gate
from egress_gate.service.ports import Store
from egress_gate.store import overview
from installation.fault import Fault
from installation.roles import Role
from ledger.entry import Entry
from store import schema as s
from store.clock import stamp


@dataclass(frozen=True)
class Account:
    """Somebody whom the hub lets in."""

    name: str
    groups: tuple[str, ...]


class Accounts(Protocol):
    """The hub's people. Each raises a `Fault` where the hub is away, or keeps no accounts of its own."""

    def everybody(self) -> tuple[Account, ...]:
        """In order of their names."""
        ...

    def checked(self, name: str, /) -> str:
        """The name as it may be given. Raises a Fault for one that the hub does not take."""
        ...

    def give_role(self, name: str, role: Role, new_password: bool, /) -> str | None:
        """The account is there, in this role alone. Its password when it was made or replaced."""
        ...

    def disable(self, name: str, /) -> None:
        """End the account with its sessions, tokens and running sandbox."""
        ...


class _Nobody:
    def __getattr__(self, verb: str) -> Callable[..., NoReturn]:
        def refuse(*_: Any) -> NoReturn:
            raise NotReady(
                "Accounts were neither listed nor changed.",
                why="This desk runs without the part that changes projects, people and data.",
                do="Use the command line: ./glovebox user --help.",
            )

        return refuse


def no_accounts() -> Accounts:
    """Refuses everything: for a desk that was started without a hub."""
    return cast(Accounts, _Nobody())


def may_manage(gate: Gate, person: Person, name: str, at: datetime) -> None:
    """Raises NotAllowed for who may not change this account."""
    _may(gate, person, name, at, known=True, password=False)


def make_account(gate: Gate, accounts: Accounts, person: Person, name: str, role: Role, at: datetime) -> str | None:
    """A new account with a password, which is shown once.

    Raises Conflict when there is one of the name, NotAllowed when the name was somebody's: memberships and stewardships hang on it.
    """
    may_manage(gate, person, name, at)
    accounts.checked(name)
    if _has_account(accounts, name):
        raise Conflict(
            f"{name} was not added.",
            why="There is an account of this name.",
            do="Choose another name, or change that one.",
        )
    with gate.store.read() as c:
        known = overview.knows(c, name)
    _may(gate, person, name, at, known=known, password=True)
    return role_given(gate.store, accounts, name, role, person.name, at, new_password=True)


def give_role(gate: Gate, accounts: Accounts, person: Person, name: str, role: Role, at: datetime) -> None:
    """Another role. The password stays its owner's."""
    may_manage(gate, person, name, at)
    if not _has_account(accounts, name):
        raise no_such("account")
    role_given(gate.store, accounts, name, role, person.name, at)


def disable(gate: Gate, accounts: Accounts, person: Person, name: str, reason: str, at: datetime) -> None:
    """End an account. Memberships stay on record: who comes back under the name finds them."""
    may_manage(gate, person, name, at)
    if not _has_account(accounts, name):
        raise no_such("account")
    disabled(gate.store, accounts, name, reason, person.name, at)


def role_given(
    store: Store, accounts: Accounts, name: str, role: Role, actor: str, at: datetime, *, new_password: bool = False
) -> str | None:
    """The same for the command line, whose user owns the installation."""
    accounts.checked(name)
    facts = {"role": role.value, **({"password": "new"} if new_password else {})}
    with _asked(store, Entry("account.role_given", actor, {"person": name}, facts), role, at):
        return accounts.give_role(name, role, new_password)


def disabled(store: Store, accounts: Accounts, name: str, reason: str, actor: str, at: datetime) -> None:
    """The same for the command line. Raises Malformed without a reason."""
    accounts.checked(name)
    said = reason.strip()
    if not said or len(said) > 2000:
        raise Malformed(
            f"{name} was not disabled.", why="The reason is empty or too long.", do="Say in a sentence why."
        )
    with _asked(store, Entry("account.disabled", actor, {"person": name}, {"reason": said}), None, at):
        accounts.disable(name)


@contextmanager
def _asked(store: Store, entry: Entry, role: Role | None, at: datetime) -> Iterator[None]:
    """Put the change on the record, then run the block that makes it; put on the record, too, that it failed."""
    table = s.account_change
    row = {
        "person": entry.subject["person"],
        "role": role and role.value,
        "asked_by": entry.actor,
        "asked_at": stamp(at),
    }
    with store.transaction(at) as t:
        key = t.execute(insert(table).values(row)).inserted_primary_key
        t.record(entry)
    try:
        yield
    except Exception as error:
        why = error.code if isinstance(error, Fault) else type(error).__name__
        with store.transaction(at) as t:
            t.execute(update(table).where(table.c.id == (key[0] if key else None)).values(failed_at=stamp(at)))
            t.record(Entry("account.change_failed", entry.actor, entry.subject, {"error": why, "of": entry.kind}))
        raise


def _has_account(accounts: Accounts, name: str) -> bool:
    return any(each.name == name for each in accounts.everybody())


def _may(gate: Gate, person: Person, name: str, at: datetime, *, known: bool, password: bool) -> None:
    account = {"name": name, "known": known, "password": password}
    may(gate.engine, person, "manage_people", at, account=account).require("change this account")
