"""`glovebox prove`: an adversary inside a throw-away sandbox, checks from outside, a signed report anyone may re-check."""

from provisioning.sandbox.prove.proving import run
from provisioning.sandbox.prove.report import Report, ReportFault, check

__all__ = ["Report", "ReportFault", "check", "run"]
