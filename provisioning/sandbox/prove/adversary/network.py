"""Network: every socket family and every way around a list of families."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from .trying import (
    BLOCKED,
    X86,
    Observed,
    attempt,
    blocked,
    call,
    errno_name,
    opened,
    raw,
    refused,
    surface,
    unknown,
)

Facts = dict[str, Any]
_NO_FAMILY = {
    errno.EINVAL,  # of a kernel that has no such protocol
    errno.EPERM,
    errno.EACCES,
    errno.EOPNOTSUPP,
    errno.EAFNOSUPPORT,
    errno.EPROTONOSUPPORT,
    errno.ESOCKTNOSUPPORT,
    errno.ENOSYS,
}

FAMILIES: tuple[tuple[str, str, int, int, int], ...] = (
    ("inet-tcp", "IPv4 TCP", 2, 1, 0),
    ("inet-udp", "IPv4 UDP", 2, 2, 0),
    ("inet-icmp", "ICMP datagrams", 2, 2, 1),
    ("inet-raw", "raw IPv4", 2, 3, 255),
    ("inet-mptcp", "multipath TCP", 2, 1, 262),
    ("inet-sctp", "SCTP", 2, 1, 132),
    ("inet-udplite", "UDP-Lite", 2, 2, 136),
    ("inet6-tcp", "IPv6 TCP", 10, 1, 0),
    ("inet6-udp", "IPv6 UDP", 10, 2, 0),
    ("inet6-icmp", "ICMPv6 datagrams", 10, 2, 58),
    ("packet", "raw frames (AF_PACKET)", 17, 3, 0x0300),
    ("netlink-route", "netlink, routing", 16, 3, 0),
    ("netlink-audit", "netlink, audit", 16, 3, 9),
    ("netlink-generic", "netlink, generic", 16, 3, 16),
    ("vsock", "the hypervisor's sockets (AF_VSOCK), which no network namespace contains", 40, 1, 0),
    ("alg", "kernel cryptography (AF_ALG)", 38, 5, 0),
    ("key", "IPsec keys (AF_KEY)", 15, 3, 2),
    ("bluetooth", "Bluetooth", 31, 3, 1),
    ("can", "CAN bus", 29, 3, 1),
    ("tipc", "TIPC", 30, 1, 0),
    ("rds", "RDS", 21, 5, 0),
    ("xdp", "AF_XDP", 44, 3, 0),
    ("kcm", "KCM", 41, 2, 0),
    ("smc", "SMC", 43, 1, 0),
    ("qipcrtr", "Qualcomm IPC router", 42, 2, 0),
    ("x25", "X.25", 9, 5, 0),
    ("appletalk", "AppleTalk", 5, 2, 0),
    ("nfc", "NFC", 39, 5, 0),
)


def _family(family: int, kind: int, protocol: int) -> Callable[[Facts], Observed]:
    def run(_: Facts) -> Observed:
        result, number = call("socket", family, kind, protocol)
        if result >= 0:
            return opened(f"socket({family}, {kind}, {protocol}) = {result}")
        word = errno_name(number)
        return blocked(word) if number in _NO_FAMILY else unknown(f"unexpected {word}")

    return run


for _name, _what, *_numbers in FAMILIES:
    attempt(f"socket-{_name}", "network", f"open a socket: {_what}")(_family(*_numbers))


@attempt("socket-any-other", "network", "open a socket of any of the 256 families and 6 kinds but AF_UNIX", seconds=30)
def any_other(_: Facts) -> Observed:
    found = [
        (family, kind)
        for family in range(256)
        if family != socket.AF_UNIX
        for kind in range(1, 7)
        if call("socket", family, kind, 0)[0] >= 0
    ]
    return opened(f"families {sorted({family for family, _ in found})}") if found else blocked("all refused")


@attempt("socket-high-bits", "network", "hide the family behind bits that the kernel cuts off (2 + 2**32)")
def high_bits(_: Facts) -> Observed:
    result, number = call("socket", 2 + 2**32, 1, 0)
    return opened("the filter compared other bits than the kernel") if result >= 0 else blocked(errno_name(number))


@attempt("socketpair-inet", "network", "make a pair of TIPC sockets")
def pair(_: Facts) -> Observed:
    numbers = (ctypes.c_int * 2)()
    result, number = call("socketpair", 30, 1, 0, ctypes.byref(numbers))
    return opened("made") if result == 0 else blocked(errno_name(number))


@attempt("int80-socket", "network", "open an IPv4 socket through the 32-bit ABI (int 0x80)", kill_means=BLOCKED)
def int80(_: Facts) -> Observed:
    if not X86:
        return blocked("this architecture has no int 0x80")
    result = _int80(359, 2, 1, 0)  # i386 socket(AF_INET, SOCK_STREAM, 0)
    return opened(f"descriptor {result}") if result >= 0 else blocked(errno_name(-result))


@attempt("int80-any", "kernel", "make any call through the 32-bit ABI (int 0x80, getpid)", kill_means=BLOCKED)
def int80_any(_: Facts) -> Observed:
    if not X86:
        return blocked("this architecture has no int 0x80")
    result = _int80(20, 0, 0, 0)
    return opened(f"getpid = {result}") if result > 0 else blocked(errno_name(-result))


def _int80(number: int, first: int, second: int, third: int) -> int:
    code = bytes.fromhex("53 89f8 89f3 4189c8 89d1 4489c2 cd80 5b c3")
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    stub = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(address)
    return int(stub(number, first, second, third))


@attempt("x32-socket", "network", "open an IPv4 socket through the x32 ABI", kill_means=BLOCKED)
def x32(_: Facts) -> Observed:
    if not X86:
        return blocked("this architecture has no x32")
    result, number = raw(0x40000000 + 41, 2, 1, 0)
    return opened(f"descriptor {result}") if result >= 0 else blocked(errno_name(number))


@attempt("io-uring-socket", "network", "open sockets through io_uring, which no socket filter sees")
def uring(_: Facts) -> Observed:
    return surface("io_uring_setup", 4, ctypes.create_string_buffer(120))


@attempt("dns", "network", "resolve a name")
def resolve(_: Facts) -> Observed:
    try:
        return opened(str(socket.getaddrinfo("example.org", 80)[0][4]))
    except socket.gaierror as refusal:
        return blocked(str(refusal))


def _connect(address: str, port: int) -> Observed:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as client:
            client.settimeout(4)
            client.connect((address, port))
    except TimeoutError:
        return opened(f"packets to {address} leave: no answer, and no refusal")
    except ConnectionRefusedError:
        return opened(f"{address} answered: refused")
    except OSError as refusal:
        return blocked(errno_name(refusal.errno or 0))
    return opened(f"connected to {address}:{port}")


@attempt("connect-host", "network", "connect to the machine's own address on the container bridge")
def connect_host(facts: Facts) -> Observed:
    return _connect(str(facts.get("gateway", "172.17.0.1")), int(facts.get("hub_port", 8081)))


@attempt("connect-metadata", "network", "connect to the cloud's metadata service")
def connect_metadata(_: Facts) -> Observed:
    return _connect("169.254.169.254", 80)


@attempt("connect-out", "network", "connect to an address on the Internet")
def connect_out(_: Facts) -> Observed:
    return _connect("192.0.2.1", 443)


@attempt("interfaces", "network", "find an interface other than lo")
def interfaces(_: Facts) -> Observed:
    with open("/proc/net/dev", encoding="ascii") as file:
        names = [line.split(":")[0].strip() for line in file.readlines()[2:]]
    others = [name for name in names if name != "lo"]
    return opened(", ".join(others)) if others else blocked("lo alone") if names == ["lo"] else unknown(str(names))


@attempt("interface-control", "network", "ask for the list of interfaces through a UNIX socket's ioctl (SIOCGIFCONF)")
def interface_control(_: Facts) -> Observed:
    with socket.socket(socket.AF_UNIX) as any_socket:
        return refused(
            lambda: fcntl.ioctl(any_socket, 0x8912, struct.pack("iL", 0, 0)), errno.EPERM, errno.EACCES, errno.ENOSYS
        )


@attempt("unix-of-others", "network", "find a listening UNIX socket that is not this sandbox's own")
def unix_of_others(facts: Facts) -> Observed:
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        paths = [line.split()[-1] for line in file.readlines()[1:] if len(line.split()) == 8]
    own = ("/run/glovebox/", "/tmp/", "@/tmp/", "@glovebox-own")  # noqa: S108 - paths inside the sandbox
    others = [path for path in paths if not path.startswith(own)]
    return opened(", ".join(others)) if others else blocked(f"{len(paths)} sockets, all its own")


@attempt("engine-socket", "network", "find the engine's control socket")
def engine_socket(_: Facts) -> Observed:
    paths = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
    found = [path for path in paths if os.path.exists(path)]
    return opened(", ".join(found)) if found else blocked("not there")


@attempt("setns-net", "network", "enter the network namespace of the container's first process's parent")
def enter(_: Facts) -> Observed:
    return surface("setns", -1, 0x40000000)
