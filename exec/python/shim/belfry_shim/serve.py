"""One request after the other, until the other side is gone."""

import mmap
import os
import signal
import sys
import threading
from time import time_ns

import valstorm
from valstorm._stop import Canceled, TimedOut
from valstorm.models import User

from belfry_shim import channel, limits, outcome
from belfry_shim.capture import Capture, NoInput
from belfry_shim.check import check
from belfry_shim.function import Function, finish

OUTPUT_BYTES_MAX = 1 << 20
CLOCK_BYTES = 8

# How a run is told to end.
STOPS = {signal.SIGUSR1: TimedOut, signal.SIGUSR2: Canceled}

# Flags of an answer.
WARM, FAILED = 1, 2

_request = channel.REQUEST.unpack_from
_sizes = channel.RUN_SIZES.unpack_from
_BODY = channel.REQUEST.size
_RUN = _BODY + channel.RUN_SIZES.size


class Worker:
    """Serves runs of one function, or checks; one at a time."""

    def __init__(self, channel, clock, bounds):
        self.channel = channel
        self.bounds = bounds  # for messages: what an error may be about
        self.clock = clock  # shared memory: when the function's first line began
        self.capture = Capture(channel, OUTPUT_BYTES_MAX)
        self.function = None  # once its code came
        self.execute = None  # once its module ran
        self.started = 0
        self.calling = False  # a run can be told to end
        self.number = 0  # of the run under way; 0 is none
        self.asking = threading.Lock()  # held by who waits for an answer to the run
        self.torn = False  # a question was sent whose answer was not read

    def told(self, number, _):
        """The code of the run learns by an exception that it is to end."""
        if self.calling:
            self.calling = False
            raise STOPS[number](STOPS[number].__doc__)

    def serve(self):
        while True:
            frame = self.channel.receive()
            if frame is None:
                os._exit(0)  # at once: no exit handlers, no waiting for threads
            _, kind, number = _request(frame)
            if kind == channel.RUN:
                self.run(number, frame)
            elif kind == channel.LOAD:
                self.function = Function(**channel.value(frame[_BODY:]))
            elif kind == channel.CHECK:
                self.check(number, **channel.value(frame[_BODY:]))
            else:
                os._exit(1)  # an answer to what nobody of ours asked

    def run(self, number, frame):
        """One run, from its frame to its answer. This is the path that must
        be short: what a warm no-op costs is mostly here."""
        flags = WARM
        self.started = 0
        self.capture.begin(number)
        self.number = number
        try:
            self.calling = True
            body = self.call(frame)
            self.calling = False
        except BaseException as error:
            self.calling = False
            body = outcome.describe(error, self.function.filename, self.bounds)
            # A module that did not load is not half used again, and a process
            # that ran out of memory is full of holes.
            unfit = self.started == 0 or isinstance(error, MemoryError)
            flags = FAILED if unfit else FAILED | WARM
        dropped = self.capture.end()
        if not self.answered() or children_left():
            flags &= ~WARM
        self.channel.done(number, self.started, dropped, flags, body)

    def call(self, frame):
        run_size, user_size = _sizes(frame, _BODY)
        user_at = _RUN + run_size
        data_at = user_at + user_size
        valstorm.run._now(frame[_RUN:user_at])
        execute = self.execute
        if execute is None:
            self.bounds.memory = self.function.memory
            limits.memory(self.function.memory)
            self.execute = execute = self.function.load()
        user = User._of(channel.value(frame[user_at:data_at]))
        data = channel.value(frame[data_at:])
        self.started = started = time_ns()
        self.clock[:] = started.to_bytes(CLOCK_BYTES, "big")
        value = execute(user, **data)
        if hasattr(value, "__await__"):
            value = finish(value)
        return outcome.encode(value)

    def answered(self):
        """Ends the run's questions. Whether each was answered: else a thread still
        reads what is sent to the next run."""
        if not self.asking.acquire(blocking=False):
            return False
        self.number = 0
        self.asking.release()
        return not self.torn

    def ask(self, question):
        """What the owner of the run says to its code, in bytes. One at a time,
        from any thread of the process itself."""
        if not self.channel.open:  # looked at first: a fork may have copied the lock as held
            raise RuntimeError("only the run's own process can schedule, not one that it has forked")
        with self.asking:
            if not self.number:
                raise RuntimeError("only a run that is under way can schedule")
            if self.torn:
                raise RuntimeError("an earlier question was broken off: the run cannot schedule any more")
            self.torn = True
            self.channel.schedule(self.number, question)
            answer = self.channel.receive()
            if answer is None:
                os._exit(0)
            self.torn = False
            return answer[_BODY:]

    def check(self, number, name, code):
        self.channel.checked(number, outcome.text(check(name, code)))


def question(item, data):
    """What code wants scheduled, as JSON in bytes."""
    body = outcome.encode(item, outcome.ITEM)
    if data is None:
        return body
    return b'{"data":' + outcome.encode(data, outcome.DATA) + b"," + body[1:]


def children_left():
    """Whether a run left processes behind. Takes leave of those that ended."""
    try:
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
    except ChildProcessError:
        return False


def main(requests, responses, clock, why, processes, files):
    pipe = channel.Channel(requests, responses)
    pipe.hello(why)
    if why:
        os._exit(1)
    worker = Worker(pipe, mmap.mmap(clock, CLOCK_BYTES), outcome.Bounds(processes, files))
    os.close(clock)
    sys.stdin = NoInput()
    for number in STOPS:
        signal.signal(number, worker.told)
    valstorm._scheduler.connect(worker.ask, question)
    worker.serve()
