"""The gate's faults.

Fault
├── NotFound          no such request, release or page for this person
├── NotAllowed        policy or the four-eyes rule said no
├── Conflict          somebody else was first; look again
├── TooLarge          more than the gate takes in one piece
├── Malformed         the request's form is wrong
├── SignedOut         nobody is signed in
├── SandboxUnknown    the caller's sandbox is not running
├── Forged            a form came from another page
├── Gone              a release was revoked
├── NotReady          nothing to download yet
├── TooMany           slow down
└── RecomputerAway    the verifier could not run; the request waits
"""

from __future__ import annotations

from installation.fault import Fault


class NotFound(Fault):
    code = "not-found"


class NotAllowed(Fault):
    code = "not-allowed"


class Conflict(Fault):
    code = "conflict"


class TooLarge(Fault):
    code = "too-large"


class Malformed(Fault):
    code = "malformed"


class SignedOut(Fault):
    code = "signed-out"


class SandboxUnknown(Fault):
    code = "sandbox-unknown"


class Forged(Fault):
    code = "forged"


class Gone(Fault):
    code = "gone"


class NotReady(Fault):
    code = "not-ready"


class TooMany(Fault):
    code = "too-many"


class RecomputerAway(Fault):
    code = "recomputer-away"


def no_such(thing: str) -> NotFound:
    """Said alike for what is not there and for what the caller may not see."""
    return NotFound(
        f"There is no such {thing} that you may see.",
        why="Either it does not exist, or it belongs to a project that you are not part of.",
        do="Check the name. If a colleague sent it to you, ask to be added to the project.",
    )
