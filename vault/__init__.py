"""Datasets at rest: sealed under a key of their own, opened only for the life of a mount or a check.

`master` wraps keys, `sealing` writes and reads sealed folders, `opened` says who holds what is open, `errors` are its refusals.
Both provisioning (mounts, masking) and the gate (recomputation) read data, and neither may import the other, so the vault is a room
below both (ADR 0011).
"""

from vault.errors import VaultFault
from vault.opened import Vault

__all__ = ["Vault", "VaultFault"]
