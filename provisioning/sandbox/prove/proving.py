"""The proof itself: set the stage, let the adversary try everything, look from outside, sign what was seen."""

from __future__ import annotations

import asyncio
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from installation.settings import Settings
from ledger import keys
from provisioning.sandbox.containers import engine_fault
from provisioning.sandbox.hardening import OWN_KERNEL, RUNSC, HardeningProfile
from provisioning.sandbox.image import image_id
from provisioning.sandbox.mounts import HOME_INODES
from provisioning.sandbox.prove.baseline import facts_for_plain, plain_pair
from provisioning.sandbox.prove.in_gvisor import KNOWN_IN_GVISOR
from provisioning.sandbox.prove.outside import Neighbour, checked, dataset_digest, log_check, proof_checks
from provisioning.sandbox.prove.report import FORMAT, Report, signed
from provisioning.sandbox.prove.throwaway import HOME_BYTES, Stage, clear_stage, copy_program, set_stage
from store import clock
from store.database import LEDGER_NAME

Tell = Callable[[str, int], None]
_NEIGHBOUR_SECONDS = 900
KNOWN_OPEN = ("free-space-of-host", "machine-load")  # reasons stand beside the attempts


def run(
    settings: Settings, baseline: bool = False, tell: Tell | None = None, client: docker.DockerClient | None = None
) -> Report:
    """Prove the isolation of this installation's sandboxes. ``tell(what, done)`` hears of every attempt.

    Needs the engine (``client``, or the usual one) and the image, not a running workbench. Raises a Fault when the stage
    cannot be set; whatever happens, nothing of it is left.
    """
    if client is not None:
        return _proved(settings, baseline, tell or (lambda _, __: None), client)
    try:
        made = docker.from_env(timeout=120)
    except DockerException as absent:
        raise engine_fault("The proof was not made.", absent) from absent
    with closing(made):
        return _proved(settings, baseline, tell or (lambda _, __: None), made)


def _proved(settings: Settings, baseline: bool, tell: Tell, client: docker.DockerClient) -> Report:
    tell("opening two throw-away sandboxes", 0)
    stage = asyncio.run(set_stage(settings, client))
    try:
        content = _content(stage, settings, tell)
        content["baseline"] = _baseline(stage, tell) if baseline else None
    finally:
        clear_stage(stage.settings, stage.keeper, client)
    return signed(content, keys.ensure(settings.secrets / "ledger.key", LEDGER_NAME))


def _content(stage: Stage, settings: Settings, tell: Tell) -> dict[str, Any]:
    hardening = stage.keeper.hardening()
    program = copy_program(stage.settings.datasets / "adversary")
    before = dataset_digest(program.folder)
    facts = facts_for(stage, hardening, settings)
    stage.start_inside(stage.neighbour.container, _neighbour_facts(facts))
    with Neighbour(stage) as neighbour:
        attempts = list(_all_tried(stage, facts, tell))
    outside = [
        *proof_checks(stage, stage.adversary),
        neighbour.check(),
        log_check(stage, stage.adversary),
        checked("the dataset on the host", before, dataset_digest(program.folder)),
        _home_check(stage),
    ]
    return {
        "format": FORMAT,
        "made_at": clock.stamp(clock.now()),
        "machine": _machine(stage, hardening),
        "profile": hardening.described(),
        "attempts": [each for each in attempts if not _explained(each)],
        "known": [each for each in attempts if _explained(each)],
        "outside": outside,
    }


def _explained(attempt: Mapping[str, str]) -> bool:
    """Open, and one of those whose reason to stay open is written down: named apart, never counted among the attempts."""
    return attempt["observed"] == attempt["expected"] == "open"


# Where the sandbox has a kernel of its own in user space, its host limits end the whole of it. Tried last, each in another one.
ENDING = ("fork-bomb", "memory-bomb", "socket-buffers")


def _all_tried(stage: Stage, facts: dict[str, Any], tell: Tell) -> Iterator[dict[str, str]]:
    if stage.settings.sandbox.runtime not in OWN_KERNEL:
        yield from tried(stage.run_inside(stage.adversary, facts), tell)
        return
    known = KNOWN_IN_GVISOR if stage.settings.sandbox.runtime == RUNSC else {}
    for attempt in tried(stage.run_inside(stage.adversary, {**facts, "left_out": list(ENDING)}), tell):
        yield _known(attempt, known)
    for name in ENDING:
        other = asyncio.run(stage.one_more())
        try:
            told = list(tried(stage.run_inside(other, {**facts, "only": [name]}), tell))
            yield from told or [_ended(name, stage.keeper.containers.state(other.sandbox_id), tell)]
        finally:
            stage.keeper.remove(other.sandbox_id)


def _known(attempt: dict[str, str], known: Mapping[str, str]) -> dict[str, str]:
    why = known.get(attempt["id"])
    if why is None or attempt["observed"] != "open":
        return attempt
    return {**attempt, "expected": "open", "detail": f"{attempt['detail']} (known: {why})"}


def _ended(name: str, state: Mapping[str, Any] | None, tell: Tell) -> dict[str, str]:
    """An attempt that did not live to tell: contained when the limits ended its sandbox, undecided when it runs still."""
    over = state is not None and not state.get("Running")
    how = f"exit code {state.get('ExitCode')}, OOM killed: {state.get('OOMKilled')}" if state else "no container"
    tell(f"{name}: the sandbox ended", 1)
    return {
        "id": name,
        "channel": "denial-of-service",
        "tried": "the same as under runc, in a sandbox of its own",
        "expected": "blocked",
        "observed": "blocked" if over else "error",
        "detail": f"its limits ended the whole sandbox, gVisor's kernel with it ({how})" if over else how,
    }


def facts_for(stage: Stage, hardening: HardeningProfile, settings: Settings) -> dict[str, Any]:
    """What the adversary is told: ceilings, and decoy words (reversed) that it must not find. No real secret."""
    host = platform.node()
    return {
        "table": "/data/adversary/table.csv",
        "pids": hardening.pids,
        "memory": hardening.memory,
        "files": hardening.files,
        "terminals": hardening.terminals,
        "cpus": settings.sandbox.cpus,
        "tmp_bytes": hardening.tmp_bytes,
        "tmp_inodes": hardening.tmp_inodes,
        "shm_bytes": hardening.shm_bytes,
        "home_bytes": HOME_BYTES,
        "home_inodes": min(HOME_INODES, HOME_BYTES // 16384),
        "log_limit": "2 MiB",
        "names": [name[::-1] for name in stage.names],
        "secrets": [_neighbours_token(stage)[::-1]],
        "hosts": [host[::-1]],
        "host_words": [str(stage.settings.home)[::-1], str(settings.home)[::-1]],
    }


def _neighbours_token(stage: Stage) -> str:
    door = stage.settings.sandboxes / stage.neighbour.sandbox_id / "door.json"
    return str(json.loads(door.read_text("utf-8"))["token"])


def _neighbour_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "be_a_neighbour", "table": facts["table"], "seconds": _NEIGHBOUR_SECONDS}


def tried(output: Iterator[bytes], tell: Tell) -> Iterator[dict[str, str]]:
    """Attempts as the adversary reports them. What it prints is not trusted beyond its shape: it comes from a sandbox."""
    pending = b""
    for part in output:
        pending += part
        while b"\n" in pending:
            line, _, pending = pending.partition(b"\n")
            if (attempt := _parsed(line)) is not None:
                tell(f"{attempt['id']}: {attempt['observed']}", 1)
                yield attempt


def _parsed(line: bytes) -> dict[str, str] | None:
    try:
        told = json.loads(line)
        fields = ("id", "channel", "tried", "expected", "observed", "detail")
        attempt = {name: str(told[name])[:400] for name in fields}
    except (ValueError, KeyError, TypeError):
        return None
    if attempt["expected"] != "open" or attempt["id"] not in KNOWN_OPEN:
        attempt["expected"] = "blocked"  # what is expected is said here, not by the sandbox
    if attempt["observed"] not in ("blocked", "open", "error"):
        attempt["observed"] = "error"
    return attempt


def _home_check(stage: Stage) -> dict[str, Any]:
    sizes = [path.stat().st_size for path in stage.settings.homes.iterdir()]
    said = f"{max(sizes, default=0)} bytes"
    return checked("the home's file on the host", f"{HOME_BYTES} bytes", said)


def _machine(stage: Stage, hardening: HardeningProfile) -> dict[str, str]:
    version = stage.client.version()
    return {
        "engine": str(version.get("Version")),
        "kernel": str(version.get("KernelVersion")),
        "architecture": str(version.get("Arch")),
        "runtime": hardening.runtime,
        "cgroup": str(hardening.cgroup_version),
        "image": image_id(stage.settings, stage.client),
        "start": "claimed while waiting" if stage.adversary.was_waiting else "cold",
    }


def _baseline(stage: Stage, tell: Tell) -> dict[str, Any]:
    tell("the same attempts in a plain container", 0)
    facts = facts_for(stage, stage.keeper.hardening(), stage.settings)
    home = Path(stage.settings.home) / "plain"
    program = stage.settings.datasets / "adversary"
    try:
        with plain_pair(stage.settings, stage.client, program, home) as (container, neighbour, address):
            stage.start_inside(neighbour, _neighbour_facts(facts))
            attempts = list(tried(stage.run_plain(container, facts_for_plain(facts, address)), tell))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {
        "what": "the same image in a container started by the engine's defaults, on its bridge",
        "attempts": attempts,
    }
