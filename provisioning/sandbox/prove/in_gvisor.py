"""Attempts that succeed under gVisor because its own kernel answers them, and why each gives nothing of the host.

Each was seen open under ``runsc`` and looked at; one that is not named here and is open fails the proof there too.
"""

from __future__ import annotations

_CALL = "gVisor's kernel answers this call, in user space; the host's is not reached"
_STACK = "it reaches gVisor's own network stack, which has lo alone"
_OPTION = "the engine tells gVisor nothing of this mount option; host code is guarded by the mount itself"
_FILE = "a file that gVisor makes up, not the host's"
_OWN = "counted or kept in gVisor's own kernel, one for each sandbox; the host's limits are checked from outside"

_WHY = {
    _CALL: """
        asynchronous-io call-capset call-io-setup call-inotify-init1 call-memfd-create call-name-to-handle-at
        call-open-by-handle-at call-perf-event-open call-personality call-ptrace call-seccomp call-setns call-sync
        call-syslog call-unshare clone-newuser io-uring-socket message-queue mknod-disk new-privileges no-filter
        semaphores-sysv setns-net
    """,
    _STACK: """
        interface-control socket-any-other socket-high-bits socket-inet-icmp socket-inet-tcp socket-inet-udp
        socket-inet6-icmp socket-inet6-tcp socket-inet6-udp socket-netlink-route
    """,
    _OPTION: "dataset-through-own-mount link-in-home link-in-served-folder run-from-home run-from-serve",
    _FILE: "disks-and-memory hidden-device-tree hidden-machine-files",
    _OWN: """
        inode-fill-tmp page-cache-evict page-cache-mincore page-cache-preadv2 processor raise-priority terminals
    """,
}
KNOWN_IN_GVISOR: dict[str, str] = {name: why for why, names in _WHY.items() for name in names.split()}
