"""What a worker is kept from.

    none        nothing: it has the rights of the executor
    process     a session and a directory of its own, limits of processes, files and
                core dumps, no new privileges
    restricted  besides: a user of its own (when the executor is root) without
                capabilities; Landlock: reads Python and the system's libraries,
                writes its own directory, signals nobody outside; seccomp: none of
                the system calls that reach around the others
    isolated    besides: namespaces of its own: no network, no processes but its own

Each level is entered by a forked process for itself, and cannot be left. The
numbers are the kernel's: see landlock(7), seccomp(2), capabilities(7).
"""

import os
import resource
import signal
import stat
import struct
import sys

try:
    import ctypes

    _libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux":
        _libc.prctl.argtypes = (ctypes.c_int,) + (ctypes.c_ulong,) * 4
        _libc.capset.argtypes = (ctypes.c_char_p,) * 2
except (ImportError, OSError, AttributeError):
    _libc = None

LEVELS = ("none", "process", "restricted", "isolated")

# A file of a run may have so many bytes, so that it does not fill the disk.
FILE_BYTES_MAX = 1 << 30

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_SECCOMP = 1, 4, 8, 22
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 36, 38, 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAPBSET_DROP = 24
CAP_DAC_READ_SEARCH = 2
CAP_LAST = 40
SECCOMP_MODE_FILTER = 2

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEW = 0x7E020080  # any of them, with cgroup and time

# What all may read: Python and the system's libraries come first, then what
# libraries look up. Nothing of it is secret: /etc/shadow, keys and the
# configuration of services are not among it.
READABLE = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone", "/etc/os-release",
    "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/resolv.conf",
    "/etc/services", "/etc/protocols", "/etc/mime.types", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates",
    "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/alternatives", "/etc/fonts",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/kernel/osrelease", "/sys/devices/system/cpu",
    "/dev/urandom", "/dev/random", "/dev/zero",
)
WRITABLE_DEVICES = ("/dev/null", "/dev/full")


class Sandbox:
    """The levels of one parent. Workers can have users of their own from
    `own_user` on, or not if it is None; that first one no worker is. If Python lies
    where only root may read, they may read what root may, within the bounds of
    Landlock. What they have in common is made here, once; but paths are opened for
    each, for what lies there may have been replaced."""

    def __init__(self, own_user):
        self.own_user = own_user
        python = tuple(p for p in sys.path if p) + (sys.prefix, sys.base_prefix)
        self.read_all = own_user is not None and not all(map(_open_to_others, python))
        self.readable = _outermost(READABLE + python)
        self.abi = _landlock_abi()
        self.filter = _filter(os.uname().machine) if _libc is not None else None

    def levels(self):
        """Each level with "" if it can be entered, or why not: it is tried, and what
        failed once more, for a moment of a full machine must not lower it for good."""
        found = {"none": ""}
        for level in LEVELS[1:]:
            found[level] = self._tried(level) and self._tried(level)
        return found

    def _tried(self, level):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                if fork(level):
                    os._exit(0)
                self.enter(level, "/", self.own_user, {}, 64, 64)
                os.write(w, b"+")
            except BaseException as err:
                os.write(w, (str(err) or repr(err)).encode())
            finally:
                os._exit(0)
        os.close(w)
        said = os.read(r, 4096).decode()  # at the end of all writers
        os.close(r)
        os.waitpid(pid, 0)
        return "" if said == "+" else said or "it cannot be entered"

    def enter(self, level, dir, uid, env, processes, files):
        """Puts this process into a level, for good. Raises OSError."""
        rank = LEVELS.index(level)
        os.setsid()
        os.umask(0o077)
        os.chdir(dir)
        if rank > 0:
            os.environ.clear()
        os.environ.update(env)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if rank == 0:
            _belongs()
            return
        if _libc is None:
            raise OSError("this Python has no ctypes, which sandboxes need")
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, FILE_BYTES_MAX))
        if rank > 1:
            rules = self._prepare(dir)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if rank > 1 and uid is not None:
            self._become(uid)
        if uid is None:
            processes += _processes_of(os.getuid())
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        _belongs()
        _prctl(PR_SET_NO_NEW_PRIVS, 1)
        if rank > 1:
            if uid is None:
                _capabilities(0)
            _restrict(rules)
            self._filter_calls()

    def _prepare(self, dir):
        """A Landlock ruleset, as a descriptor."""
        if self.abi < 1:
            raise OSError("the kernel has no Landlock")
        if self.abi < 6 and self.own_user is None:
            raise OSError("the kernel's Landlock (version %d) does not bound signals: version 6 does, or run as root" % self.abi)
        handled = _ALL[min(self.abi, len(_ALL) - 1)]
        attr = struct.pack("=QQQ", handled, 0, _SCOPES)
        size = 24 if self.abi >= 6 else 8  # what the kernel knows
        ruleset = _create_ruleset(attr, size, 0)
        read = _EXECUTE | _READ_FILE | _READ_DIR
        for path in self.readable:
            _allow(ruleset, path, read & handled)
        _allow(ruleset, "/proc/self", read & handled)
        for path in WRITABLE_DEVICES:
            _allow(ruleset, path, (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        _allow(ruleset, dir if dir != "/" else "/dev/null", handled & ~(_MAKE_CHAR | _MAKE_BLOCK))
        return ruleset

    def _become(self, uid):
        """Changes the user, and gives up all capabilities but one, if needed."""
        for capability in range(CAP_LAST + 1):
            if capability != CAP_DAC_READ_SEARCH or not self.read_all:
                _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # beyond the last: no harm
        if self.read_all:
            _prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        _capabilities(1 << CAP_DAC_READ_SEARCH if self.read_all else 0)
        if self.read_all:  # for programs that the code starts, Python among them
            _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH)
        _prctl(PR_SET_DUMPABLE, 1)  # else /proc/self is root's

    def _filter_calls(self):
        if self.filter is None:
            raise OSError("no list of system calls for %s" % os.uname().machine)
        _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(self.filter[0]))


def fork(level):
    """os.fork; at the level isolated the child has namespaces of its own. The
    process in between, which a PID namespace needs, ends at once; the child is
    ours, as we are its subreaper."""
    if level != "isolated":
        return os.fork()
    r, w = os.pipe()
    gate, held = os.pipe()
    between = os.fork()
    if between == 0:
        try:
            os.close(r)
            os.close(held)
            _unshare()
            child = os.fork()
            if child == 0:
                os.close(w)
                os.read(gate, 1)  # until it is ours: it is to end when its parent does
                os.close(gate)
                return 0
            os.write(w, b"%d" % child)
        except OSError as err:
            os.write(w, b"!" + str(err).encode())
        os._exit(0)
    os.close(w)
    os.close(gate)
    said = os.read(r, 4096)
    os.close(r)
    os.waitpid(between, 0)
    os.close(held)
    if not said[:1].isdigit():
        raise OSError(said[1:].decode() or "no namespaces")
    return int(said)


def _unshare():
    if _libc is None:
        raise OSError("this Python has no ctypes, which sandboxes need")
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    uid, gid = os.getuid(), os.getgid()
    if uid != 0:
        flags |= CLONE_NEWUSER
    if _libc.unshare(flags) != 0:
        raise OSError("no namespaces: %s" % os.strerror(ctypes.get_errno()))
    if uid != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + name, "w") as file:
                file.write(text)


def subreaper():
    """Makes orphans among the descendants of this process its children."""
    if _libc is not None and sys.platform == "linux":
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children():
    """The processes that have this one as their parent; none if nobody tells."""
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _belongs():
    """A worker ends with its parent, and is the parent of its orphans."""
    subreaper()
    if _libc is not None and sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _open_to_others(path):
    """Whether any user may read what lies there; what is not there, they may."""
    try:
        mode = os.stat(path).st_mode
        if mode & 0o004 == 0:
            return False
        while path != "/":
            path = os.path.dirname(path)
            if os.stat(path).st_mode & 0o001 == 0:
                return False
    except OSError:
        pass
    return True


def _processes_of(uid):
    """How many processes and threads a user has."""
    count = 0
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        try:
            if name.isdigit() and os.stat("/proc/" + name).st_uid == uid:
                count += os.stat("/proc/%s/task" % name).st_nlink - 2
        except OSError:
            pass  # it has ended
    return count


def _outermost(paths):
    """Leaves out what lies below others of them. A link to a file stays: it may yet
    be put elsewhere."""
    real = {path: os.path.realpath(path) for path in paths}
    below = tuple(at + "/" for at in real.values() if os.path.isdir(at))
    kept = {}
    for path, at in real.items():
        if os.path.islink(path) and not os.path.isdir(path):
            kept[path] = path
        elif not at.startswith(below):
            kept.setdefault(at, path)
    return tuple(kept.values())


def _prctl(option, *args):
    if _libc.prctl(option, *(args + (0,) * (4 - len(args)))) != 0:
        raise OSError("prctl %d: %s" % (option, os.strerror(ctypes.get_errno())))


def _syscall(number, *types):
    """A system call that libc has no function for. Its types are told once."""
    call = _libc["syscall"]  # an object of its own
    call.argtypes, call.restype = (ctypes.c_long,) + types, ctypes.c_long

    def made(*args):
        got = call(number, *args)
        if got < 0:
            raise OSError("system call %d: %s" % (number, os.strerror(ctypes.get_errno())))
        return got

    return made


def _capabilities(mask):
    """Sets effective, permitted and inheritable capabilities."""
    header = struct.pack("=Ii", 0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, low, high, high, high)
    if _libc.capset(header, data) != 0:
        raise OSError("capset: %s" % os.strerror(ctypes.get_errno()))


# Landlock.

if _libc is not None:
    _create_ruleset = _syscall(444, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint)
    _add_rule = _syscall(445, ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    _restrict_self = _syscall(446, ctypes.c_int, ctypes.c_uint)
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# All that a version handles, from 1 on; the fifth added device ioctls.
_ALL = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
_SCOPES = 3  # abstract sockets and signals stay within the sandbox


def _landlock_abi():
    if _libc is None or sys.platform != "linux":
        return 0
    try:
        return _create_ruleset(None, 0, 1)
    except OSError:
        return 0


def _allow(ruleset, path, rights):
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be read
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        _add_rule(ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _restrict(ruleset):
    _restrict_self(ruleset, 0)
    os.close(ruleset)


# Seccomp: by the name of the machine, its number in audit.h and the numbers of
# the calls that are refused with EPERM: tracing and reading others, mounts and
# namespaces, modules, keys, clocks, and what goes around the kernel's checks.
_REFUSED = (
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp mount umount2 pivot_root chroot unshare setns "
    "mount_setattr open_tree move_mount fsopen fsconfig fsmount fspick bpf perf_event_open userfaultfd keyctl add_key "
    "request_key kexec_load kexec_file_load init_module finit_module delete_module reboot swapon swapoff settimeofday "
    "clock_settime clock_adjtime adjtimex sethostname setdomainname syslog acct quotactl quotactl_fd open_by_handle_at "
    "name_to_handle_at io_uring_setup io_uring_enter io_uring_register personality vhangup lookup_dcookie nfsservctl "
    "fanotify_init iopl ioperm modify_ldt migrate_pages move_pages"
).split()
_MACHINES = {
    "x86_64": (0xC000003E, 56, 435, dict(zip(_REFUSED, (
        101, 310, 311, 440, 438, 312, 165, 166, 155, 161, 272, 308,
        442, 428, 429, 430, 431, 432, 433, 321, 298, 323, 250, 248,
        249, 246, 320, 175, 313, 176, 169, 167, 168, 164,
        227, 305, 159, 170, 171, 103, 163, 179, 443, 304,
        303, 425, 426, 427, 135, 153, 212, 180,
        300, 172, 173, 154, 256, 279,
    )))),
    "aarch64": (0xC00000B7, 220, 435, dict(zip(_REFUSED, (
        117, 270, 271, 440, 438, 272, 40, 39, 41, 51, 97, 268,
        442, 428, 429, 430, 431, 432, 433, 280, 241, 282, 219, 217,
        218, 104, 294, 105, 273, 106, 142, 224, 225, 170,
        112, 266, 171, 161, 162, 116, 89, 60, 443, 265,
        264, 425, 426, 427, 92, 58, 18, 42,
        262, None, None, None, 238, 239,
    )))),
}
_EPERM, _ENOSYS = 1, 38
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def _program(machine):
    """The filter, in lines of (code, jump if so, jump if not, value)."""
    arch, clone, clone3, refused = _MACHINES[machine]
    load, equal, above, bits, answer = 0x20, 0x15, 0x35, 0x45, 0x06

    def search(numbers):
        # In halves: the kernel tries it with each number there is when a worker enters.
        if len(numbers) > 3:
            half = len(numbers) // 2
            below = search(numbers[:half])
            return [(above, len(below), 0, numbers[half])] + below + search(numbers[half:])
        lines = []
        for number in numbers:
            lines += [(equal, 0, 1, number), (answer, 0, 0, _ERRNO | _EPERM)]
        return lines + [(answer, 0, 0, _ALLOW)]

    lines = [(load, 0, 0, 4), (equal, 1, 0, arch), (answer, 0, 0, _KILL), (load, 0, 0, 0)]
    lines += [(above, 0, 1, 0x40000000), (answer, 0, 0, _ERRNO | _EPERM)]  # x32
    lines += [(equal, 0, 1, clone3), (answer, 0, 0, _ERRNO | _ENOSYS)]  # libc then takes clone
    lines += [(equal, 0, 3, clone), (load, 0, 0, 16), (bits, 0, 1, CLONE_NEW), (answer, 0, 0, _ERRNO | _EPERM), (load, 0, 0, 0)]
    return lines + search(sorted(n for n in refused.values() if n is not None))


def _filter(machine):
    """The filter as the kernel wants it: a buffer, and one that it points to; or None."""
    if machine not in _MACHINES:
        return None
    lines = _program(machine)
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    header = struct.pack("@HP", len(lines), ctypes.addressof(program))
    return ctypes.create_string_buffer(header, len(header)), program
