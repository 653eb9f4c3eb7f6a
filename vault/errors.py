"""What the vault refuses, and never with data."""

from __future__ import annotations

from installation.fault import Fault


class VaultFault(Fault):
    code = "vault"


def cannot_open(why: str, private: str = "") -> VaultFault:
    """For everything that is not the data as it was registered: a wrong key, a changed byte, a missing file."""
    return VaultFault(
        "The data could not be opened.",
        why=why,
        do="Tell the operator: `./glovebox doctor` says which version it is; a backup of the version and its key brings it back.",
        private=private,
    )
