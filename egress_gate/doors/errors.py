"""What the doors refuse, each with the HTTP status that carries it.

Fault
└── DoorFault
    ├── RouteRefused        not on the route list: downloads, exports, anything unknown
    │   └── DownloadRefused the same, for what is plainly a way out: say how to ask for a release
    ├── TooLarge            more bytes, or faster, than this route carries
    ├── ShownWithheld       policy's view of this project does not show it
    ├── ImportRefused       an upload that the import rule does not take
    ├── SignedOut           nobody is signed in, or the hub ended the session
    ├── NotYours            signed in, but another person's server
    ├── SignInBroken        the answer from the hub does not fit a sign-in that began here
    ├── CrossSite           another page's request in this person's name
    ├── NoSandbox           no sandbox runs under this address
    ├── SandboxAway         the notebook server does not answer
    ├── SandboxMisbehaved   it answered with something that must not reach a browser
    ├── HubAway             the hub does not answer, so nobody can be let in
    ├── PolicyAway          the policy engine does not answer, so nobody can be let in
    ├── InnerRefused        the inside asked for something that is not the analyst API
    └── GateAway            the gate does not answer the inner door
"""

from __future__ import annotations

from typing import ClassVar

from installation.fault import Fault

ASK_FOR_RELEASE = (
    "To take a result out, ask for a release: in a notebook, `import glovebox` and "
    '`glovebox.release("SELECT …", title="…", purpose="…")`.'
)


class DoorFault(Fault):
    code = "door"
    status: ClassVar[int] = 500


class RouteRefused(DoorFault):
    code = "route-refused"
    status = 403


class DownloadRefused(RouteRefused):
    code = "download-refused"


class TooLarge(DoorFault):
    code = "too-large"
    status = 413


class ShownWithheld(DoorFault):
    code = "view-withheld"
    status = 403


class ImportRefused(DoorFault):
    code = "import-refused"
    status = 413


class SignedOut(DoorFault):
    code = "signed-out"
    status = 403


class NotYours(DoorFault):
    code = "not-yours"
    status = 403


class SignInBroken(DoorFault):
    code = "sign-in-broken"
    status = 400


class CrossSite(DoorFault):
    code = "cross-site"
    status = 403


class NoSandbox(DoorFault):
    code = "no-sandbox"
    status = 404


class SandboxAway(DoorFault):
    code = "sandbox-away"
    status = 503


class SandboxMisbehaved(DoorFault):
    code = "sandbox-misbehaved"
    status = 502


class HubAway(DoorFault):
    code = "hub-away"
    status = 503


class PolicyAway(DoorFault):
    code = "policy-away"
    status = 503


class InnerRefused(DoorFault):
    code = "inner-refused"
    status = 403


class GateAway(DoorFault):
    code = "gate-away"
    status = 503


def sandbox_away(private: str = "") -> SandboxAway:
    return SandboxAway(
        "The notebook server did not answer.",
        why="It is starting, busy, or has stopped.",
        do="Wait a moment and try again; if it stays silent, stop and start the server from the hub's home page.",
        private=private or None,
    )


def misbehaved(what: str, private: str = "") -> SandboxMisbehaved:
    return SandboxMisbehaved(
        f"The notebook server's answer was not passed on: {what}.",
        why="The session door passes on only what a notebook page needs.",
        do="If you changed the server inside the sandbox, undo that and restart it; otherwise tell the operator.",
        private=private or None,
    )
