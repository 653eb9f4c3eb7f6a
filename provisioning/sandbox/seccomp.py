"""The system calls a sandbox may make: an allow-list, by equality, for x86-64 and arm64 only.

What is not named is refused. No rule allows by an ordering or an inequality, and no 32-bit ABI is in the filter:
``int 0x80`` and x32 calls end the process. Where a refusal's errno decides whether programs go on, it is chosen:
``EOPNOTSUPP`` for socket families (``EPERM`` makes libzmq abort every kernel), ``ENOSYS`` for calls that libraries try
first and fall back from.
"""

from __future__ import annotations

import errno
from typing import Any

AF_UNIX, AF_INET = 1, 2
_LAST_FAMILY = 64
_CLONE_NAMESPACES = 0x7E020000  # NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET

_ALLOWED = """
accept accept4 access alarm arch_prctl bind brk capget chdir chmod chown clock_getres clock_gettime clock_nanosleep
close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait
epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fallocate fchdir
fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr fremovexattr fsetxattr fstat fstatfs
fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat get_robust_list getcpu getcwd
getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid
getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday
getuid getxattr kill lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat
madvise membarrier mkdir mkdirat mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap
nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free
pkey_mprotect poll ppoll pread64 preadv prlimit64 pselect6 pwrite64 pwritev read readahead readlink readlinkat readv
recvfrom recvmmsg recvmsg removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction
rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield select sendfile
sendmmsg sendmsg sendto set_robust_list set_tid_address setitimer setpgid setpriority setrlimit setsid setsockopt
setxattr shutdown sigaltstack signalfd signalfd4 splice stat statfs statx symlink symlinkat sync_file_range sysinfo
tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
timerfd_gettime timerfd_settime times tkill truncate umask uname unlink unlinkat utime utimensat utimes vfork wait4
waitid write writev
"""
ALLOWED: tuple[str, ...] = tuple(_ALLOWED.split())

# Tried first by common libraries, which go on without when told that the kernel has no such call.
_ABSENT = """
clone3 io_uring_setup io_uring_enter io_uring_register memfd_create memfd_secret preadv2 pwritev2 inotify_init
inotify_init1 inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark flock mincore cachestat process_madvise
process_mrelease userfaultfd io_setup io_submit io_getevents io_pgetevents io_destroy io_cancel
landlock_create_ruleset landlock_add_rule landlock_restrict_self set_mempolicy_home_node sync syncfs quotactl_fd
statmount listmount map_shadow_stack setxattrat getxattrat listxattrat removexattrat
"""
ABSENT: tuple[str, ...] = tuple(_ABSENT.split())

# Terminal and descriptor control; the rest (network interfaces, block devices, file-system maintenance) is refused.
IOCTLS: dict[str, int] = {
    "TCGETS": 0x5401,
    "TCSETS": 0x5402,
    "TCSETSW": 0x5403,
    "TCSETSF": 0x5404,
    "TCGETA": 0x5405,
    "TCSBRK": 0x5409,
    "TCXONC": 0x540A,
    "TCFLSH": 0x540B,
    "TIOCEXCL": 0x540C,
    "TIOCNXCL": 0x540D,
    "TIOCSCTTY": 0x540E,
    "TIOCGPGRP": 0x540F,
    "TIOCSPGRP": 0x5410,
    "TIOCOUTQ": 0x5411,
    "TIOCGWINSZ": 0x5413,
    "TIOCSWINSZ": 0x5414,
    "FIONREAD": 0x541B,
    "TIOCPKT": 0x5420,
    "FIONBIO": 0x5421,
    "TIOCNOTTY": 0x5422,
    "TIOCGSID": 0x5429,
    "TCGETS2": 0x802C542A,
    "TCSETS2": 0x402C542B,
    "TIOCGPTN": 0x80045430,
    "TIOCSPTLCK": 0x40045431,
    "TIOCGPTPEER": 0x5441,
    "FIONCLEX": 0x5450,
    "FIOCLEX": 0x5451,
}

# POSIX_FADV_DONTNEED (4) is left out: it evicts pages that another sandbox could time.
_FADVICE = (0, 1, 2, 3, 5)
_PRCTLS: dict[str, int] = {
    "PR_SET_PDEATHSIG": 1,
    "PR_GET_PDEATHSIG": 2,
    "PR_GET_DUMPABLE": 3,
    "PR_SET_DUMPABLE": 4,
    "PR_GET_KEEPCAPS": 7,
    "PR_SET_NAME": 15,
    "PR_GET_NAME": 16,
    "PR_GET_SECCOMP": 21,
    "PR_CAPBSET_READ": 23,
    "PR_SET_TIMERSLACK": 29,
    "PR_GET_TIMERSLACK": 30,
    "PR_SET_CHILD_SUBREAPER": 36,
    "PR_GET_CHILD_SUBREAPER": 37,
    "PR_SET_NO_NEW_PRIVS": 38,
    "PR_GET_NO_NEW_PRIVS": 39,
    "PR_SET_THP_DISABLE": 41,
    "PR_GET_THP_DISABLE": 42,
    "PR_CAP_AMBIENT": 47,
    "PR_SET_VMA": 0x53564D41,
}

Rule = dict[str, Any]


def seccomp_profile(*, loopback_inet: bool = False) -> dict[str, Any]:
    """The list as Docker and runc read it. ``loopback_inet`` adds AF_INET, which reaches ``lo`` and nothing else."""
    families = (AF_UNIX, AF_INET) if loopback_inet else (AF_UNIX,)
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            {"names": sorted(ALLOWED), "action": "SCMP_ACT_ALLOW", "args": []},
            {"names": sorted(ABSENT), "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS, "args": []},
            *(rule for family in range(_LAST_FAMILY) for rule in _family(family, allowed=family in families)),
            _masked("clone", 0, _CLONE_NAMESPACES, 0),
            *(_masked("ioctl", 1, 0xFFFFFFFF, request) for request in IOCTLS.values()),
            *(_masked("prctl", 0, 0xFFFFFFFF, option) for option in _PRCTLS.values()),
            *(_masked("fadvise64", 3, 0xFFFFFFFF, advice) for advice in _FADVICE),
        ],
    }


def _family(family: int, *, allowed: bool) -> list[Rule]:
    names = ["socket", "socketpair"]
    if allowed:
        return [_rule(names, 0, family)]
    return [_rule(names, 0, family, errno_=errno.EOPNOTSUPP)]


def _rule(names: list[str], index: int, value: int, errno_: int | None = None) -> Rule:
    rule: Rule = {
        "names": names,
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
    }
    if errno_ is not None:
        rule.update(action="SCMP_ACT_ERRNO", errnoRet=errno_)
    return rule


def _masked(name: str, index: int, mask: int, value: int) -> Rule:
    """Equality on the bits that the kernel reads: ``argument & mask == value``."""
    arguments = [{"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}]
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": arguments}
