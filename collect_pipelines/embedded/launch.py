"""A stand-alone program that becomes the given command, tied to the life of its parent. Run by path.

    launch.py PARENT_PID SIGNAL [--unprivileged FOLDER [--how WAY]] -- COMMAND...

On Linux the kernel sends SIGNAL to the command when the parent dies, even by kill -9. `--unprivileged` is for servers
that refuse to run as root (PostgreSQL): when root, the command runs under another user's id, and FOLDER is given to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import sys
from collections.abc import Callable
from pathlib import Path

NO_WAY_EXIT = 77
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Tie this process to its parent, give up root if asked to, and become the command."""
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    parent, signal_number = int(options[0]), int(options[1])
    if "--unprivileged" in options and os.geteuid() == 0:
        ways = WAYS if "--how" not in options else {(name := options[options.index("--how") + 1]): WAYS[name]}
        _give_up_root(options[options.index("--unprivileged") + 1], ways)
    if sys.platform == "linux":
        # After the change of user: the kernel forgets the wish when the credentials change.
        _libc_call("prctl", _PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent ended before its child began")
    os.execvp(command[0], command)  # noqa: S606 (becoming the command is the purpose)


def _give_up_root(folder: str, ways: dict[str, Callable[[str], None]]) -> None:
    """Use the first way that this machine permits, tried in a child first because none can be taken back."""
    for way in ways.values():
        child = os.fork()
        if child == 0:
            with contextlib.suppress(OSError, KeyError):
                way(folder)
                os._exit(0)
            os._exit(1)
        if os.waitpid(child, 0)[1] == 0:
            way(folder)
            return
    sys.stderr.write("this process runs as root and may neither make a user namespace nor change its user\n")
    sys.exit(NO_WAY_EXIT)


def _by_namespace(folder: str) -> None:
    """Stay root for the files, yet be another user to ourselves: a user namespace that maps another id to root's."""
    _own(folder, 0, 0)
    user = _ordinary_user()
    _libc_call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user.pw_uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{user.pw_gid} 0 1")


def _by_capability(folder: str) -> None:
    """Become another user but keep the right to pass private folders (containers forbid namespaces, permit this)."""
    user = _ordinary_user()
    _own(folder, user.pw_uid, user.pw_gid)
    _libc_call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    only = 1 << _CAP_DAC_OVERRIDE
    data = (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)
    _libc_call("capset", ctypes.byref(header), ctypes.byref(data))
    _libc_call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


WAYS: dict[str, Callable[[str], None]] = {"namespace": _by_namespace, "capability": _by_capability}


def _ordinary_user() -> pwd.struct_passwd:
    """A user who is not root and has a name, because initdb asks for it."""
    for name in ("postgres", "daemon", "bin", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    return next(user for user in pwd.getpwall() if user.pw_uid != 0)


def _own(folder: str, user: int, group: int) -> None:
    """Give the folder and what is in it to the user; its parents are left as they are."""
    if Path(folder).stat().st_uid == user:
        return
    for path, names, files in os.walk(folder, topdown=False):
        for name in (*names, *files):
            os.chown(Path(path, name), user, group, follow_symlinks=False)
    os.chown(folder, user, group)


def _libc_call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
