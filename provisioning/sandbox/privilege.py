"""The few commands that need root on the host: mounting, and looking at another user's process.

As root they are run as they are. As a member of the docker group, who is as mighty as root but is not root, they are
run by a short-lived helper container in the host's mount namespace. Everything else needs no root.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import docker
from docker.errors import APIError, ContainerError, DockerException

from installation.settings import Settings
from provisioning.sandbox.errors import EngineFault, MountFault
from provisioning.sandbox.hardening import LABEL_HOME, LABEL_ROLE, home_label

Command = Sequence[str]


class Privilege(Protocol):
    """Runs shell text or command lists as root in the host's mount namespace."""

    def shell(self, script: str) -> str:
        """Run ``script`` with ``sh -eu``; its standard output. Raises MountFault with what it said when it fails."""
        ...


def quoted(command: Command) -> str:
    """A command list as shell text in which no word can become shell text itself."""
    return shlex.join(command)


def run_all(privilege: Privilege, commands: Sequence[Command]) -> None:
    """Run each command list in order, in one go; every word is quoted, so that no name can become shell text."""
    if commands:
        privilege.shell("\n".join(quoted(command) for command in commands))


class AsRoot:
    """This process is root in the host's mount namespace."""

    def shell(self, script: str) -> str:
        done = subprocess.run(["/bin/sh", "-eu", "-c", script], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise _failed(done.stderr)
        return done.stdout


_HELPER_CAPABILITIES = ("SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE")


class ThroughEngine:
    """This process may use Docker: a helper container enters this process's mount namespace for it.

    The helper has what mounting and looking at processes takes, and no more; it runs fixed text and goes.
    """

    def __init__(self, client: docker.DockerClient, image: str, labels: dict[str, str]) -> None:
        self._client = client
        self._image = image
        self._labels = labels

    def shell(self, script: str) -> str:
        try:
            said = self._client.containers.run(
                self._image,
                entrypoint=["/usr/bin/nsenter", "-t", str(os.getpid()), "-m", "--", "/bin/sh", "-eu", "-c", script],
                user="0:0",
                cap_add=list(_HELPER_CAPABILITIES),
                security_opt=["seccomp=unconfined", "apparmor=unconfined"],
                device_cgroup_rules=["a *:* rwm"],
                pid_mode="host",
                network_mode="none",
                remove=True,
                labels=self._labels,
                stderr=False,
            )
        except ContainerError as failure:
            raise _failed(_decoded(failure.stderr)) from failure
        except (APIError, DockerException) as failure:
            raise EngineFault(
                "The sandbox's mounts were not changed.",
                why="The Docker engine refused the helper that mounts on behalf of a user who is not root.",
                do="Check that Docker runs and that you may use it, then start the workspace again.",
                private=str(failure),
            ) from failure
        return _decoded(said)


def privilege_for(settings: Settings, client: docker.DockerClient) -> Privilege:
    """Root's way when this process is root, else the docker group's."""
    if os.geteuid() == 0:
        return AsRoot()
    labels = {LABEL_HOME: home_label(settings), LABEL_ROLE: "helper"}
    return ThroughEngine(client, settings.sandbox.image, labels)


def host_tool(*arguments: object) -> Command:
    """The command that runs `host_tool.py` with this interpreter, isolated from its environment."""
    tool = Path(__file__).with_name("host_tool.py")
    return [sys.executable, "-I", "-S", "-B", str(tool), *map(str, arguments)]


def read_files(privilege: Privilege, paths: Sequence[str]) -> dict[str, str]:
    """Text of kernel files (``/proc``, cgroup), read as root; a path that cannot be read is left out."""
    if isinstance(privilege, AsRoot):
        return {path: text for path in paths if (text := _text_of(path)) is not None}
    script = "\n".join(
        f"if [ -r {quoted} ]; then printf '%s\\0' {quoted}; cat {quoted} || true; printf '\\0'; fi"
        for quoted in map(shlex.quote, paths)
    )
    parts = privilege.shell(script).split("\0")
    return dict(zip(parts[0::2], parts[1::2], strict=False))


def read_arguments(privilege: Privilege, pids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The arguments with which processes were started; one that is gone is left out. The first is a program's name."""
    script = "\n".join(
        f"printf '{pid}\\0'; tr '\\000' '\\037' </proc/{pid}/cmdline || true; printf '\\0'" for pid in pids
    )
    parts = privilege.shell(script).split("\0") if pids else []
    return {
        int(pid): tuple(text.split("\x1f")[:-1]) for pid, text in zip(parts[0::2], parts[1::2], strict=False) if text
    }


def read_links(privilege: Privilege, paths: Sequence[str]) -> dict[str, str]:
    """Targets of links such as ``/proc/1/ns/net``; one that cannot be read is left out."""
    if isinstance(privilege, AsRoot):
        return {path: target for path in paths if (target := _target_of(path)) is not None}
    lines = privilege.shell("\n".join(f"echo {shlex.quote(p)} $(readlink {shlex.quote(p)} || true)" for p in paths))
    pairs = (line.split(" ", 1) for line in lines.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[1]}


def _text_of(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "replace")
    except OSError:
        return None


def _target_of(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def _failed(stderr: str) -> MountFault:
    lines = stderr.strip().splitlines()
    return MountFault(
        "The sandbox's mounts were not made.",
        why="The host refused a mount." if not lines else f"The host refused a mount: {_without_paths(lines[-1])}.",
        do="Ask the operator to look at the hub's log, then start the workspace again.",
        private=stderr,
    )


def _without_paths(line: str) -> str:
    return " ".join("…" if "/" in word else word for word in line.split()).rstrip(".")


def _decoded(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said or "")
