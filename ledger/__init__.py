"""The append-only record: entries, an RFC 6962 Merkle tree, signed checkpoints, proofs, and a verifier.

Imports nothing of the other packages, so that an auditor can read, run and trust this folder alone.
"""
