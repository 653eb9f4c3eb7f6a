"""The order of the steps."""

from __future__ import annotations

from rich.console import Console

from installation.settings import Settings
from workbench.setup import docker_engine, opa, programs, secrets
from workbench.setup.step import Step, run_steps


def prepare(settings: Settings, console: Console) -> None:
    """All that the workbench needs to run. Raises SetupFault."""
    run_steps(
        settings,
        [
            Step("state folder, keys and accounts", secrets.ensure),
            Step("public proxy (configurable-http-proxy, npm)", programs.ensure_proxy),
            Step("policy engine (OPA)", opa.ensure),
            Step("container engine (Docker)", docker_engine.ensure),
            Step("sandbox image (built without network)", programs.ensure_image),
        ],
        console,
    )


def prepare_tests(settings: Settings, console: Console) -> None:
    """What the tests need beyond that: a browser, a MySQL server, and a second runtime for sandboxes."""
    steps = [
        Step("browser (Chromium)", programs.ensure_browser),
        Step("a MySQL server (MariaDB)", programs.ensure_mariadb),
        Step("second runtime (gVisor)", programs.ensure_gvisor),
    ]
    run_steps(settings, steps, console)
