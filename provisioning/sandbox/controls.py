"""Every hardening setting with the attack it stops and the attempts and tests that show it; docs are generated from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from installation.settings import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "hardening.md"


@dataclass(frozen=True)
class Control:
    """One setting: how it is written, what it stops, which attempts of `glovebox prove` try it, which test guards it."""

    setting: str
    written: str
    stops: str
    attempts: tuple[str, ...]
    test: str


_LIFE = "tests/integration/test_sandbox_life.py"
_WAYS = "tests/adversary/test_isolation.py"
_PROOF = "tests/adversary/test_isolation_proof.py"
_DATA = "tests/unit/sandbox/test_hardening.py"
_WEAK = f"{_LIFE}::test_each_weakening_is_seen_from_outside"
_ALL = f"{_PROOF}::test_no_attempt_is_open_or_undecided"

CONTROLS: tuple[Control, ...] = (
    Control(
        "no network",
        "NetworkMode none",
        "Sending data anywhere, reaching the hub, a neighbour or the cloud's metadata service.",
        ("interfaces", "connect-host", "connect-metadata", "connect-out", "neighbour-tcp"),
        f"{_WAYS}::test_there_is_no_interface_but_lo_and_no_resolver",
    ),
    Control(
        "no resolver",
        "Dns 127.0.0.1",
        "Learning the machine's resolver; names carried out in queries.",
        ("dns", "resolver"),
        f"{_WAYS}::test_there_is_no_interface_but_lo_and_no_resolver",
    ),
    Control(
        "socket families by equality",
        "own seccomp list: AF_UNIX alone",
        "Sockets that no network namespace contains (AF_VSOCK), netlink, ICMP, kernel cryptography.",
        ("socket-vsock", "socket-netlink-route", "socket-any-other", "socket-high-bits", "interface-control"),
        f"{_WAYS}::test_every_socket_family_but_unix_is_refused",
    ),
    Control(
        "no 32-bit ABI",
        "own seccomp list: x86-64 and arm64 only",
        "The same calls through int 0x80 or x32, past a filter that only knows the 64-bit numbers.",
        ("int80-socket", "int80-any", "x32-socket"),
        f"{_DATA}::test_default_refuses_and_no_32_bit_architecture_is_named",
    ),
    Control(
        "calls by allow-list",
        "own seccomp list: everything not named is refused",
        "Kernel code an analyst never needs: io_uring, bpf, ptrace, keyrings, namespaces, mounts, modules.",
        ("io-uring-socket", "call-bpf", "call-ptrace", "call-unshare", "call-mount", "clone-newuser", "no-filter"),
        _ALL,
    ),
    Control(
        "terminal control by allow-list",
        "own seccomp list: 28 ioctl requests",
        "Keystrokes put into a terminal, interface lists, disk maintenance.",
        ("terminal-injection", "interface-control"),
        f"{_DATA}::test_terminal_injection_is_not_among_the_allowed_controls",
    ),
    Control(
        "no capabilities",
        "CapDrop ALL",
        "Raw sockets, device nodes, chroot, killing others.",
        ("already-root", "mknod-disk", "call-chroot", "realtime", "raise-priority"),
        f"{_LIFE}::test_drift_refuses_the_start_and_leaves_nothing",
    ),
    Control(
        "no new privileges, no setuid file",
        "SecurityOpt no-new-privileges, stripped image",
        "Becoming root by running a program.",
        ("new-privileges", "setuid-files", "setuid-root"),
        _ALL,
    ),
    Control(
        "a number per person",
        "User uid:gid, never 0",
        "Reading another person's files when a mount is mixed up.",
        ("already-root",),
        f"{_DATA}::test_root_is_refused",
    ),
    Control(
        "read-only root",
        "ReadonlyRootfs",
        "Leaving something behind in programs or packages.",
        ("write-root", "write-programs", "write-packages", "write-passwords", "disk-fill-root"),
        _WEAK,
    ),
    Control(
        "own read-only layer over each dataset",
        "one overlay per session and dataset",
        "A covert channel between two sandboxes through locks, leases or notifications on a shared file.",
        ("lock-flock", "lock-record", "lock-open-file", "lease", "directory-notice", "access-time", "write-dataset"),
        f"{_WAYS}::test_a_shared_dataset_carries_no_lock_from_one_to_the_other",
    ),
    Control(
        "page cache",
        "own seccomp list: no mincore, cachestat, preadv2, fadvise DONTNEED",
        "Learning what a neighbour reads from which pages are in memory.",
        ("page-cache-mincore", "page-cache-preadv2", "page-cache-cachestat", "page-cache-evict"),
        _ALL,
    ),
    Control(
        "served folder",
        "tmpfs of 1 MiB and 64 inodes, nosymfollow",
        "A socket replaced by a link that leads the host's proxy to another service; filling the host.",
        ("link-in-served-folder", "run-from-serve", "disk-fill-served"),
        f"{_WAYS}::test_a_socket_replaced_by_a_link_leads_the_host_nowhere",
    ),
    Control(
        "home with a size",
        "ext4 in a file, nosuid nodev noexec nosymfollow",
        "Filling the host's disk or inodes; running a downloaded program; links that lead the host astray.",
        ("disk-fill-home", "inode-fill-home", "run-from-home", "link-in-home", "huge-file"),
        f"{_LIFE}::test_the_home_persists_for_a_project_and_no_other",
    ),
    Control(
        "temporary files with a size",
        "tmpfs with size and inodes, noexec",
        "Filling memory through /tmp; running a program from there.",
        ("disk-fill-tmp", "inode-fill-tmp", "disk-fill-shm", "run-from-tmp", "run-from-shm"),
        f"{_DATA}::test_memory_in_tmpfs_stays_below_the_limit",
    ),
    Control(
        "processes",
        "PidsLimit",
        "A fork bomb.",
        ("fork-bomb",),
        _WEAK,
    ),
    Control(
        "memory without swap",
        "Memory = MemorySwap, swappiness 0, OomScoreAdj 500",
        "A memory bomb that slows or kills neighbours or services.",
        ("memory-bomb", "socket-buffers"),
        _WEAK,
    ),
    Control(
        "processor time",
        "CpuPeriod, CpuQuota, CpuShares",
        "Taking all processors.",
        ("processor", "realtime", "raise-priority"),
        f"{_PROOF}::test_the_neighbour_answered_every_knock",
    ),
    Control(
        "files, cores, sizes, locks, signals",
        "Ulimits",
        "Using up descriptors; core helpers on the host; 8 TiB sparse files.",
        ("descriptors", "core-dump", "huge-file", "locked-memory", "pending-signals", "raise-limits"),
        _WEAK,
    ),
    Control(
        "terminals",
        "devpts remounted with max=64",
        "Using up the machine's pseudo-terminals, which all containers share.",
        ("terminals",),
        _ALL,
    ),
    Control(
        "private IPC and cgroup tree",
        "IpcMode private, CgroupnsMode private, no SysV or POSIX queues",
        "Shared memory with a neighbour; the container's name on the engine.",
        ("shared-memory-sysv", "shared-memory-posix", "message-queue", "semaphores-sysv", "container-id"),
        _WEAK,
    ),
    Control(
        "masked /proc and /sys",
        "MaskedPaths, ReadonlyPaths",
        "A fingerprint of the machine; other people's names behind loop devices; shared counters.",
        (
            "hidden-kernel-files",
            "hidden-machine-files",
            "hidden-device-tree",
            "loop-files",
            "global-counters",
            "machine-id",
        ),
        f"{_WAYS}::test_a_neighbour_is_not_found_by_abstract_socket_or_process_or_name",
    ),
    Control(
        "neutral names",
        "Hostname sandbox; layers and folders named by descriptor or number",
        "Names of people, projects, hosts and folders.",
        ("host-name", "host-paths-in-mounts", "names-in-files", "names-in-processes"),
        f"{_WAYS}::test_a_neighbour_is_not_found_by_abstract_socket_or_process_or_name",
    ),
    Control(
        "no credential",
        "an environment of five variables",
        "Speaking to the hub, or as someone else.",
        ("hub-variables", "hub-token-in-processes", "token-in-arguments", "secrets-in-files", "mounted-credentials"),
        f"{_WAYS}::test_no_hub_credential_or_host_name_is_inside",
    ),
    Control(
        "nothing in what waits",
        "a waiting sandbox has no name, token, home or data, and a number of nobody's",
        "A secret or an identity in a sandbox before it is someone's.",
        ("hub-variables", "names-in-processes", "token-in-arguments"),
        "tests/integration/test_sandbox_waiting.py::test_a_waiting_sandbox_holds_no_secret_and_no_identity",
    ),
    Control(
        "no pipe to the engine",
        "the first process writes to /tmp/server.log; LogConfig json-file, 1 MiB twice, for what is left",
        "Making the engine work outside every limit, or filling the host's disk, by printing.",
        ("log-flood",),
        _ALL,
    ),
)

_HEAD = """# Hardening

Generated from `provisioning/sandbox/controls.py` by `./glovebox fix`; do not edit.

Every sandbox, and the gate's verifier, is started with one profile (`provisioning/sandbox/hardening.py`). After each start and
before an analyst gets the sandbox, engine and kernel are asked from outside what is in force
(`provisioning/sandbox/isolation.py`); any difference refuses the start, removes the container and is recorded.
`./glovebox prove` lets an adversary try everything from inside and writes a signed report.

| setting | how it is written | what it stops | attempts in `glovebox prove` | test |
|---|---|---|---|---|
"""

_TAIL = """
## What an operator may set

`[sandbox]` in `settings.toml`: `memory`, `cpus`, `pids`, `home_bytes`, `runtime`, `loopback_inet`, `waiting`. Nothing else of the
profile can be changed by a setting.

- `loopback_inet = true` adds `AF_INET`, which then reaches `lo` and nothing else: for Dask, Ray or a Spark page. Sandboxes
  stay apart, since each has its own `lo`.
- `runtime = "runsc"` (gVisor) gives each sandbox its own kernel in user space, at the price of slower starts and system calls.
  The proof then looks at gVisor's own processes. `runtime = "kata"` does the same with a virtual machine, where the hardware allows
  it. How: [another kernel under the sandboxes](../how-to/another-kernel.md).
- `waiting` is how many sandboxes may wait for a claim at most; how many do follows use and free memory. `0` makes every start a
  cold one. With `runsc` and `kata`, and on kernels older than 5.12, starts are cold anyway.
- User-namespace remapping is the engine's own option (`userns-remap` in `daemon.json`); see the same page.

cgroup v1 and v2 are both supported; on v2 the engine has no swappiness, and swap is limited to nothing instead.

## What whoever meets a limit is told

In the cell that met it: a kernel that the memory limit ended leaves an error `MemoryLimitReached` with the limit and what to do; under
errors of a full home, too many files, processes or open files stands a line that names the limit. The messages come from inside
(`images/sandbox/told`), for the analyst's convenience; no limit depends on them.

## What stays open

No container closes these; the report names them, and expects them:

- **Load and free memory of the machine** can be measured, so that two sandboxes on one machine can signal slowly and noisily by
  using processors. Only a machine of one's own closes this.
- **Free space of the host's disk** can be measured, because the runtime itself needs the call. Writes by sandboxes are bounded.
- **The kernel** is shared with `runc`. A flaw in an allowed system call is a way out; `runsc` or `kata` put another kernel between.
- **Processor side channels** are the machine's; keep its microcode current.
"""


def page() -> str:
    """The text of `docs/reference/hardening.md`."""
    return _HEAD + "".join(_row(control) for control in CONTROLS) + _TAIL


def _row(control: Control) -> str:
    attempts = ", ".join(f"`{name}`" for name in control.attempts)
    return f"| {control.setting} | {control.written} | {control.stops} | {attempts} | `{control.test}` |\n"


def write_page(path: Path = PAGE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(), "utf-8")


if __name__ == "__main__":
    write_page()
