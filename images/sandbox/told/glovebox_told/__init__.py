"""Tells an analyst which limit of the sandbox was met, where Python and Jupyter only say that something failed.

Convenience only: what must hold is enforced outside. Nothing here is imported by host code.
"""
