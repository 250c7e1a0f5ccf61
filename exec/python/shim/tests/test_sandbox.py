import os
import signal
import unittest

from belfry_shim import sandbox
from belfry_shim.killer import Killer

ALLOWED, EPERM, ENOSYS, KILLED = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000


def answer(lines, arch, number, argument=0):
    """What the kernel would make of a call."""
    at, loaded = 0, 0
    for _ in range(len(lines)):  # it goes forward only
        code, so, not_so, value = lines[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            loaded = {0: number, 4: arch, 16: argument}[value]
            continue
        holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: loaded & value != 0}[code]
        at += so if holds else not_so
    raise AssertionError("it comes to no end")


class TheFilter(unittest.TestCase):
    def test_it_refuses_what_is_listed_and_nothing_else(self):
        for machine, (arch, clone, clone3, refused) in sandbox._MACHINES.items():
            lines = sandbox._program(machine)
            numbers = set(refused.values()) - {None}
            self.assertGreater(len(numbers), 50)
            for number in range(1000):
                want = ENOSYS if number == clone3 else EPERM if number in numbers else ALLOWED
                self.assertEqual(answer(lines, arch, number), want, (machine, number))
            self.assertEqual(answer(lines, arch, clone, sandbox.CLONE_NEWUSER), EPERM)
            self.assertEqual(answer(lines, arch, 0x40000001), EPERM)
            self.assertEqual(answer(lines, arch ^ 1, 1), KILLED)


class WhatIsReadable(unittest.TestCase):
    def test_what_lies_below_others_is_left_out(self):
        kept = sandbox._outermost(("/usr", "/usr/lib", "/usr/lib", "/etc/hosts", "/no/such", "/dev/null"))
        self.assertEqual(kept, ("/usr", "/etc/hosts", "/no/such", "/dev/null"))


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class AKiller(unittest.TestCase):
    # Within a block that no runtime holds.
    NOBODY = (1 << 31) - 100

    def setUp(self):
        self.killer = Killer(self.NOBODY)

    def tearDown(self):
        os.kill(self.killer.pid, signal.SIGKILL)
        os.waitpid(self.killer.pid, 0)
        self.killer.gone(self.killer.pid)

    def of(self, uid):
        """A process of a user, in a session of its own."""
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.setresuid(uid, uid, uid)
            os.write(w, b"+")
            signal.pause()
            os._exit(1)
        os.read(r, 1)
        os.close(r)
        os.close(w)
        return pid

    def killed(self, pid):
        return os.WIFSIGNALED(os.waitpid(pid, 0)[1])

    def test_it_kills_all_of_a_user_and_nobody_else(self):
        one, other, neighbour = self.of(self.NOBODY + 1), self.of(self.NOBODY + 1), self.of(self.NOBODY + 2)
        self.killer.kill_all_of(self.NOBODY + 1)
        self.assertTrue(self.killed(one) and self.killed(other))
        self.assertEqual(os.waitpid(neighbour, os.WNOHANG)[0], 0)
        self.killer.kill_all_of(self.NOBODY + 1)  # nobody is left
        self.killer.kill_all_of(self.NOBODY + 2)
        self.assertTrue(self.killed(neighbour))

    def test_one_that_was_killed_or_stands_or_was_slowed_is_replaced(self):
        for harm in (
            lambda pid: os.kill(pid, signal.SIGKILL),
            lambda pid: os.kill(pid, signal.SIGSTOP),
            lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        ):
            before = self.killer.pid
            harm(before)
            for _ in range(2):
                pid = self.of(self.NOBODY + 1)
                self.killer.kill_all_of(self.NOBODY + 1)
                self.assertTrue(self.killed(pid))
            self.assertNotEqual(self.killer.pid, before)
            os.waitpid(before, 0)
