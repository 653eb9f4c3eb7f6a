"""`glovebox project` and `glovebox grant`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from installation import settings as installation
from workbench import console
from workbench.commands.names import By, Language, Until, moment
from workbench.console import Json
from workbench.errors import WorkbenchFault

app = typer.Typer(help="Projects, their members and purpose.", no_args_is_help=True)
grant = typer.Typer(help="A steward's consent to the use of a dataset version.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The project's name.")]
Person = Annotated[str, typer.Argument(help="The person's account name.")]
Quota = Annotated[
    list[str] | None,
    typer.Option(
        "--quota",
        help="NAME=NUMBER, the most of it; repeat for several. Names: sessions, processor_seconds, cells, shown_bytes, requests, "
        "releases, released_cells, released_bytes, and memory_bytes for each sandbox.",
    ),
]


Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the ledger.")]


@app.command()
def create(
    name: Name,
    by: By,
    title: Annotated[str, typer.Option(help="One line for people.")],
    purpose: Annotated[str, typer.Option(help="What the data may be used for; grants repeat it.")],
    until: Until,
    member: Annotated[list[str] | None, typer.Option(help="A member; repeat for several.")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="A dataset it means to use; its stewards see that it asks. Repeat.")
    ] = None,
    sponsor: Annotated[str | None, typer.Option(help="Who answers for it; who makes it, when left out.")] = None,
    legal_basis: Annotated[str, typer.Option(help="Why the data may be used so, in law or contract.")] = "",
    output_plan: Annotated[str, typer.Option(help="What the project intends to release.")] = "",
) -> None:
    """Make a project. It sees no data until a steward grants some."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        at = now()
        end = moment(until, at)
        made = projects.create_project(
            _db(),
            name=name,
            title=title,
            purpose=purpose,
            sponsor=sponsor or by,
            expires_at=end,
            actor=by,
            at=at,
            legal_basis=legal_basis,
            output_plan=output_plan,
            members=member or [],
            datasets=dataset or [],
        )
        console.out.print(f"Project {made.name} is there until {end:%Y-%m-%d}.")


@app.command()
def describe(
    name: Name,
    by: By,
    title: Annotated[str, typer.Option(help="One line for people.")] = "",
    sponsor: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    legal_basis: Annotated[str, typer.Option(help="Why the data may be used so, in law or contract.")] = "",
    output_plan: Annotated[str, typer.Option(help="What the project intends to release.")] = "",
) -> None:
    """State or correct what a project is. What is left out stays; the purpose cannot change, because grants were given for it."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        terms = {"title": title, "sponsor": sponsor, "legal_basis": legal_basis, "output_plan": output_plan}
        projects.describe_project(_db(), name=name, actor=by, at=now(), **terms)
        console.out.print(f"Project {name} is described.")


@app.command()
def assess(
    name: Name,
    by: By,
    confirm: Annotated[
        list[str], typer.Option(help="An item of the checklist that holds (see `project checklist`); repeat for all.")
    ],
) -> None:
    """Confirm the checklist of a project before its first start. It replaces an earlier assessment."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        _require_items(confirm)
        made = projects.assess_project(_db(), name=name, confirmed=confirm, actor=by, at=now())
        lacking = _checklist(name)["lacking"]
        console.out.print(f"Project {name} is assessed: {', '.join(made.assessed)}.", markup=False)
        if lacking:
            console.out.print(f"It does not start yet. Not confirmed: {', '.join(lacking)}.", markup=False)


@app.command()
def checklist(
    name: Name,
    language: Annotated[Language, typer.Option(help="Of the texts.")] = Language.ENGLISH,
    as_json: Json = False,
) -> None:
    """What must be confirmed before a project first starts, by the levels of the data granted to it, and what is."""
    with console.faults_in_three_parts(as_json):
        found = _checklist(name)
        if as_json:
            console.answer(found)
            return
        for row in found["items"]:
            console.out.print(f"{console.tick(row['confirmed'])} ", end="")
            console.out.print(f"{row['item']} ({', '.join(row['law'])})\n    {row[language.value]}", markup=False)
        if not found["levels"]:
            console.out.print(f"No data is granted to {name} yet. Next: ./glovebox grant give {name} …", markup=False)
        elif found["complete"]:
            console.out.print("Everything is confirmed.")
        else:
            console.out.print(
                f"Next, by an administrator who is no member: ./glovebox project assess {name} --confirm ITEM …",
                markup=False,
            )


@app.command("list")
def list_projects(as_json: Json = False) -> None:
    """Every project with its members and grants."""
    with console.faults_in_three_parts(as_json):
        from provisioning.service import projects

        with _db().read() as c:
            found = [_facts(one, projects.grants_of(c, one.name)) for one in projects.projects(c)]
        if as_json:
            console.answer({"projects": found})
            return
        if not found:
            console.out.print("There is no project. Next: ./glovebox project create --help")
            return
        console.table(
            ["project", "state", "until", "members", "grants"],
            [
                [
                    p["name"],
                    p["state"],
                    p["expires_at"][:10],
                    ", ".join(p["members"]),
                    ", ".join(
                        f"{g['id']}: {g['version']}{' (revoked)' if g['revoked_at'] else ''}" for g in p["grants"]
                    ),
                ]
                for p in found
            ],
        )


@app.command("add-member")
def add_member(name: Name, person: Person, by: By) -> None:
    """Let a person into a project."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        projects.add_member(_db(), project=name, person=person, actor=by, at=now())
        console.out.print(f"{person} is a member of {name}.")


@app.command("remove-member")
def remove_member(name: Name, person: Person, by: By) -> None:
    """Take a person out of a project; their running sandbox is stopped."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        projects.remove_member(_db(), project=name, person=person, actor=by, at=now())
        console.out.print(f"{person} is no longer a member of {name}.")


@app.command()
def freeze(name: Name, by: By, reason: Reason) -> None:
    """Stop all work on a project, for now."""
    _move("freeze_project", name, by, reason)


@app.command()
def thaw(name: Name, by: By, reason: Reason) -> None:
    """Let work on a frozen project go on."""
    _move("thaw_project", name, by, reason)


@app.command()
def close(name: Name, by: By, reason: Reason) -> None:
    """End a project for good."""
    _move("close_project", name, by, reason)


@app.command()
def extend(name: Name, by: By, until: Until) -> None:
    """Give a project another end. Its grants keep theirs."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        at = now()
        made = projects.extend_project(_db(), name=name, expires_at=moment(until, at), actor=by, at=at)
        console.out.print(f"Project {name} ends {made.expires_at:%Y-%m-%d}.")


@grant.command()
def give(
    project: Name,
    version: Annotated[str, typer.Argument(help="A dataset version, for example nafld/1.")],
    by: By,
    until: Until,
    purpose: Annotated[
        str | None, typer.Option(help="Must be the project's purpose, which it is when left out.")
    ] = None,
    quota: Quota = None,
) -> None:
    """Grant a dataset version to a project, as one of its stewards."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        at = now()
        given = projects.give_grant(
            _db(),
            project=project,
            version=version,
            purpose=purpose or None,
            expires_at=moment(until, at),
            actor=by,
            at=at,
            quotas=_quotas(quota),
        )
        console.out.print(f"Grant {given.id}: {project} may use {version} until {given.expires_at:%Y-%m-%d}.")


@grant.command()
def revoke(number: Annotated[int, typer.Argument(help="The grant's number.")], by: By, reason: Reason) -> None:
    """Take a grant back, at once. Running sandboxes that use it are stopped."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        taken = projects.revoke_grant(_db(), grant=number, reason=reason, actor=by, at=now())
        console.out.print(f"Grant {taken.id} is revoked: {taken.project} may no longer use {taken.version}.")


@grant.command("quota")
def change_quotas(
    number: Annotated[int, typer.Argument(help="The grant's number.")], by: By, reason: Reason, quota: Quota = None
) -> None:
    """Replace a grant's quotas, as a steward; without --quota it has none. What was used stays counted."""
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        made = projects.change_quotas(_db(), grant=number, quotas=_quotas(quota), reason=reason, actor=by, at=now())
        said = ", ".join(f"{name} {most}" for name, most in made.quotas.items()) or "no quotas"
        console.out.print(f"Grant {made.id} now has {said}.")


def _quotas(given: list[str] | None) -> dict[str, int]:
    """``NAME=NUMBER`` as given. Raises WorkbenchFault for another form or a name given twice; what it may be, the service says."""
    made: dict[str, int] = {}
    for text in given or []:
        name, _, number = text.partition("=")
        if not number.isascii() or not number.isdigit() or name in made:
            raise WorkbenchFault(
                f"{text[:60]!a} is not a quota.",
                why="It is not NAME=NUMBER with a whole number, or names one twice.",
                do="Write for example --quota sessions=20 --quota released_cells=5000.",
            )
        made[name] = int(number)
    return made


def _move(verb: str, name: str, by: str, reason: str) -> None:
    with console.faults_in_three_parts():
        from provisioning.service import projects
        from store.clock import now

        moved = getattr(projects, verb)(_db(), name=name, reason=reason, actor=by, at=now())
        console.out.print(f"Project {name} is {moved.state.value}.")


def _checklist(name: str) -> dict[str, Any]:
    """The checklist of a project by the data granted to it. Raises NotFound, PolicyUnavailable."""
    from policy_engine.in_process import InProcess
    from provisioning.domain.errors import not_found
    from provisioning.service import assessment, projects

    with _db().read() as c:
        known, levels = projects.project(c, name), assessment.levels_of(c, name)
    if known is None:
        raise not_found("project", ascii(name[:60]), "./glovebox project list")
    return {"levels": levels, **assessment.checklist(InProcess(), levels=levels, assessed=known.assessed)}


def _require_items(items: list[str]) -> None:
    """Raises WorkbenchFault for an item of no checklist: misspelt, it would count for nothing."""
    from policy_engine.in_process import InProcess
    from provisioning.service import assessment

    unknown = assessment.checklist(InProcess(), levels=[], assessed=items)["unknown"]
    if unknown:
        raise WorkbenchFault(
            "The project was not assessed.",
            why=f"No checklist has {unknown[0][:60]!a}.",
            do="Look at the items: ./glovebox project checklist PROJECT.",
        )


def _db() -> Any:
    from store.database import Database

    return Database.open(installation.load())


def _facts(one: Any, grants: list[Any]) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "purpose": one.purpose,
        "state": one.state.value,
        "expires_at": one.expires_at.isoformat(),
        "legal_basis": one.legal_basis,
        "output_plan": one.output_plan,
        "datasets": list(one.datasets),
        "assessed": list(one.assessed),
        "members": list(one.members),
        "grants": [
            {
                "id": g.id,
                "version": g.version,
                "granted_by": g.granted_by,
                "expires_at": g.expires_at.isoformat(),
                "quotas": dict(g.quotas),
                "revoked_at": g.revoked_at.isoformat() if g.revoked_at else None,
            }
            for g in grants
        ],
    }
