"""The parent of all workers: forks them, kills them, and says when they are gone.

It has imported what they will need, so that a worker is there in a millisecond,
and runs nobody's code. Each message is one packet of a socket, as JSON; with a
fork come five descriptors. When the other side is gone it kills all and ends.

    requests   {"fork": n, "level", "dir", "uid", "env", "processes", "files"}
               {"tell": n, "signal"}   {"kill": n}
    responses  {"hello", "python", "executable", "levels"}
               {"forked": n, "pid"}    {"gone": n, "status"}  or  "why", if it never was

Descriptors: requests, responses, stdout, stderr, clock.
"""

import asyncio  # noqa: F401  for workers: async code needs it
import gc
import json
import os
import select
import signal
import socket
import time

from belfry_shim import sandbox, serve
from belfry_shim.killer import Killer

MESSAGE_BYTES_MAX = 256 << 10
DESCRIPTORS = 5
# How long what a dead worker left behind may take to die, in seconds.
SWEEP_MAX = 1.0


class Worker:
    def __init__(self, number, pid, uid):
        self.number = number
        self.pid = pid  # and the number of its session and process group
        self.uid = uid  # its own, or None


class Parent:
    def __init__(self, sock, sand, work):
        self.sock = sock
        self.work = work  # the directory of the workers' directories
        self.sand = sand
        self.by_pid = {}
        self.by_number = {}
        self.wake, wake = os.pipe()
        for fd in (self.wake, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)  # it ends with its socket
        self.killer = None if sand.own_user is None else Killer(sand.own_user)

    def serve(self):
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if fd != self.wake:
                    self.receive()
                    continue
                try:
                    os.read(self.wake, 4096)
                except BlockingIOError:
                    pass
                self.reap()

    def receive(self):
        data, fds, _, _ = socket.recv_fds(self.sock, MESSAGE_BYTES_MAX, DESCRIPTORS)
        if not data:
            self.end()
        message = json.loads(data)
        if "fork" in message:
            self.fork(message.pop("fork"), fds, **message)
            return
        worker = self.by_number.get(message.get("kill", message.get("tell")))
        if worker is None:
            return  # it is gone already
        if "kill" in message:
            self.kill(worker)
        else:
            os.kill(worker.pid, message["signal"])

    def send(self, **message):
        try:
            self.sock.send(json.dumps(message).encode())
        except OSError:
            self.end()

    def fork(self, number, fds, level, dir, uid, env, processes, files):
        try:
            pid = sandbox.fork(level)
        except OSError as err:
            pid, why = -1, "cannot fork: %s" % err
        if pid == 0:
            self.become(fds, level, dir, uid, env, processes, files)
        for fd in fds:
            os.close(fd)
        if pid < 0:
            self.send(gone=number, why=why)
            return
        self.by_pid[pid] = self.by_number[number] = Worker(number, pid, uid)
        self.send(forked=number, pid=pid)

    def become(self, fds, level, dir, uid, env, processes, files):
        """Makes a worker of a forked process. Does not return."""
        try:
            signal.set_wakeup_fd(-1)
            for changed in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(changed, signal.SIG_DFL)
            fds = arrange(fds)
            why = ""
            try:
                self.sand.enter(level, dir, uid, env, processes, files)
            except (OSError, ValueError) as err:
                why = str(err) or "the sandbox cannot be entered"
            self.by_pid = self.by_number = None
            serve.main(*fds, why, processes, files)
        except BaseException as err:
            os.write(2, ("belfry: %r\n" % err).encode())
        finally:
            os._exit(70)

    def reap(self):
        """Takes leave of processes that ended."""
        while True:
            try:
                # A zombie keeps its number, and that of its group, from others.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            worker = self.by_pid.pop(ended.si_pid, None)
            if worker is not None:
                self.kill(worker)
            _, status = os.waitpid(ended.si_pid, 0)
            if self.killer is not None:
                self.killer.gone(ended.si_pid)
            if worker is not None:
                del self.by_number[worker.number]
                self.sweep()
                self.send(gone=worker.number, status=status)

    def kill(self, worker):
        """Kills a worker, which is not yet reaped, with its session."""
        for kill, number in ((os.killpg, worker.pid), (os.kill, worker.pid)):
            try:
                kill(number, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if worker.uid is not None:
            self.killer.kill_all_of(worker.uid)

    def sweep(self):
        """Kills what dead workers have left: it has become ours, as we are its
        subreaper, and each worker is the subreaper of its own."""
        until = time.monotonic() + SWEEP_MAX
        kept = {self.killer.pid} if self.killer is not None else ()
        while time.monotonic() < until:
            left = [pid for pid in sandbox.children() if pid not in self.by_pid and pid not in kept]
            if not left:
                return
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
            for pid in left:
                os.waitpid(pid, os.WNOHANG)

    def end(self):
        for worker in self.by_pid.values():
            self.kill(worker)
        for pid in list(self.by_pid):
            os.waitpid(pid, 0)
        self.by_pid = {}
        self.sweep()
        import shutil  # only now: workers need none of what it imports

        shutil.rmtree(self.work, ignore_errors=True)  # nobody else will, if the other side was killed
        os._exit(0)


def arrange(fds):
    """Puts the descriptors of a worker where they belong, and closes all others:
    3 requests, 4 responses, 1 and 2 its output, 5 the clock. Standard input can
    be written only, so that nobody waits for it."""
    spare = [os.dup2(fd, 100 + n, inheritable=False) for n, fd in enumerate(fds)]
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 0)
    for fd, at, inherited in zip(spare, (3, 4, 1, 2, 5), (False, False, True, True, False)):
        os.dup2(fd, at, inheritable=inherited)
    os.closerange(6, 4096)
    return 3, 4, 5


def main(fd, config, hello):
    sock = socket.socket(fileno=fd)
    config = json.loads(config)
    sand = sandbox.Sandbox(config["own_user"])
    sandbox.subreaper()
    gc.collect()
    gc.freeze()  # a worker that collects does not touch, and so copy, what all share
    hello(fd, "," + json.dumps({"levels": sand.levels()})[1:-1])
    Parent(sock, sand, config["work"]).serve()
