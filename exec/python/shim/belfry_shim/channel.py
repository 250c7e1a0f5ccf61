"""Frames over a pair of file descriptors.

A frame is four bytes of length, and a body that begins with its kind and the
number of the request. What is fixed is packed, big endian; what is a value of
somebody's is JSON in UTF-8. Only the process that opened the channel ever
writes to it: a fork closes it.

    requests   load     kind number                 {"name", "version", "code", "memory"}
               run      kind number run_size user_size  run user data
               check    kind number                 {"name", "code"}
               scheduled  kind number               {"id", "run_date_time"}, or {"error"}
    responses  hello    kind 0                      why the sandbox was not entered, or nothing
               output   kind number time stream     text
               done     kind number started dropped flags  result, or error
               checked  kind number                 error, or null
               schedule kind number                 {"name", "function", "at" or "after", "data"}

A worker that sends schedule reads scheduled next: it is the one question that
goes the other way, while a run is under way.
"""

import json
import os
import threading
from os import getpid, read, write
from struct import Struct

FRAME_BYTES_MAX = 8 << 20
READ_BYTES = 16 << 10

LOAD, RUN, CHECK, SCHEDULED = b"LRCS"
HELLO, OUTPUT, DONE, CHECKED, SCHEDULE = b"hodcs"

# Heads of frames, their length included.
REQUEST = Struct(">IBQ")
RUN_SIZES = Struct(">II")
HEAD = Struct(">IBQ")
OUTPUT_HEAD = Struct(">IBQQB")
DONE_HEAD = Struct(">IBQQQB")

# What json.loads does, without its search for white space around the value:
# the other side sends none.
_scan = json.JSONDecoder().scan_once


def value(data):
    """The value of JSON bytes."""
    return _scan(str(data, "utf-8"), 0)[0]


class Channel:
    """Both directions of the protocol. `send` may be called from any thread."""

    def __init__(self, requests, responses):
        self._requests = requests
        self._responses = responses
        self._pid = getpid()
        self._rest = b""  # what was read beyond the last frame
        self._lock = threading.RLock()
        self.open = True
        # What a run starts by exec must not inherit the channel.
        os.set_inheritable(requests, False)
        os.set_inheritable(responses, False)
        os.register_at_fork(after_in_child=self._forked)

    def receive(self):
        """The next request, its length included, or None when the other side is gone."""
        data = self._rest or read(self._requests, READ_BYTES)
        while len(data) < 4:
            more = read(self._requests, 4 - len(data)) if data else b""
            if not more:
                return None
            data += more
        size = 4 + int.from_bytes(data[:4], "big")
        if size > FRAME_BYTES_MAX:
            return None
        self._rest = data[size:]
        if len(data) == size:
            return data
        if len(data) > size:
            return data[:size]
        parts = [data]
        missing = size - len(data)
        while missing > 0:
            part = read(self._requests, missing)
            if not part:
                return None
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def send(self, frame):
        """Sends one frame, whole.

        A process that cannot answer has nothing left to do and ends; so does
        a copy of it that a fork made behind Python's back.
        """
        if not self.open or getpid() != self._pid:
            os._exit(0)
        try:
            with self._lock:
                sent = write(self._responses, frame)
                while sent < len(frame):
                    sent += write(self._responses, frame[sent:])
        except OSError:
            os._exit(70)

    def hello(self, why):
        why = why.encode()
        self.send(HEAD.pack(HEAD.size - 4 + len(why), HELLO, 0) + why)

    def output(self, number, time, stream, text):
        """Sends text, as bytes of UTF-8, that was printed at a time in nanoseconds."""
        self.send(OUTPUT_HEAD.pack(OUTPUT_HEAD.size - 4 + len(text), OUTPUT, number, time, stream) + text)

    def done(self, number, started, dropped, flags, body):
        self.send(DONE_HEAD.pack(DONE_HEAD.size - 4 + len(body), DONE, number, started, dropped, flags) + body)

    def checked(self, number, body):
        self.send(HEAD.pack(HEAD.size - 4 + len(body), CHECKED, number) + body)

    def schedule(self, number, body):
        self.send(HEAD.pack(HEAD.size - 4 + len(body), SCHEDULE, number) + body)

    def _forked(self):
        self.open = False
        for fd in (self._requests, self._responses):
            try:
                os.close(fd)
            except OSError:
                pass
