"""Kills every process of a user: kill(-1) leaves none out, not even what forks.

Only a process of that user can do it, and a fork for each would take longer than
all else that ends a worker. So one is kept for it. For a moment it acts as the
user (the effective one); but it is a user that no worker is (the real one), and so
it is nobody's to kill, and it saves root to go back to. What is left to that user's
processes is to make it slow: then it is replaced, as if it had been killed.
"""

import os
import select
import signal
import socket

# How long it may take, in seconds.
KILL_MAX = 1.0


class Killer:
    """Belongs to one process, whose child it is. `nobody` is who no worker is."""

    def __init__(self, nobody):
        self.nobody = nobody
        self.pid = None
        self._start()

    def kill_all_of(self, uid):
        for _ in range(2):
            if self.pid is None:
                self._start()
            if self._killed(uid):
                return
            if self.pid is not None:
                os.kill(self.pid, signal.SIGKILL)  # not reaped yet: it is still its number
            self.gone(self.pid)

    def gone(self, pid):
        """Is told of each process that ended. Whoever takes leave of it reaps it."""
        if pid is not None and pid == self.pid:
            self.pid = None
            self.sock.close()

    def _killed(self, uid):
        try:
            self.sock.send(b"%d" % uid)
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            return bool(poll.poll(KILL_MAX * 1000)) and self.sock.recv(1) == b"+"
        except OSError:
            return False

    def _start(self):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                fd = theirs.fileno()
                os.closerange(0, fd)
                os.closerange(fd + 1, 4096)
                self._serve(theirs)
            finally:
                os._exit(0)
        theirs.close()

    def _serve(self, sock):
        before = _pace()
        while _pace() == before:
            asked = sock.recv(16)
            if not asked:
                return  # the other side is gone
            os.setresuid(self.nobody, int(asked), 0)
            try:
                os.kill(-1, signal.SIGKILL)
            except OSError:
                pass  # there is none
            os.setresuid(0, 0, 0)
            sock.send(b"+")


def _pace():
    return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0)
