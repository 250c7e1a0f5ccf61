"""What code prints and logs, as frames.

Text goes out with the line that completes it, at once, so that it survives
the end of the process. Lines are split by the receiver. A stream outlives
the run: code may keep a reference to it.
"""

import io
import logging
import os
import sys
import threading
from time import time_ns

PART_BYTES_MAX = 32 << 10

# Streams, by the numbers they have on the wire.
STDOUT, STDERR, LOG = range(3)
NAMES = ("stdout", "stderr", "log")


class Output:
    """The output of the current run; dropped while there is none.

    Counts what it sends and stops at the limit of a run: from then on it
    only counts.
    """

    def __init__(self, channel, bytes_max):
        self.channel = channel
        self._bytes_max = bytes_max
        self._run = None
        self._left = 0
        self._dropped = 0
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forked)

    def begin(self, run):
        self._left, self._dropped = self._bytes_max, 0
        self._run = run

    def end(self):
        """Closes the run's output. Returns how many bytes were not sent."""
        with self._lock:
            self._run = None
            return self._dropped

    def send(self, stream, fd, text):
        data = text.encode("utf-8", "backslashreplace")
        if not self.channel.open:  # a forked child: its output is its parent's
            _write_raw(fd, data)
            return
        with self._lock:
            if self._run is None:
                return
            for start in range(0, len(data), PART_BYTES_MAX):
                part = data[start : start + PART_BYTES_MAX]
                if self._left <= 0:
                    self._dropped += len(part)
                    continue
                self._left -= len(part)
                self.channel.output(self._run, time_ns(), stream, part)

    def _forked(self):
        self._lock = threading.RLock()


class Stream(io.TextIOBase):
    """Stands in for sys.stdout or sys.stderr."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None

    def __init__(self, output, stream, fd):
        super().__init__()
        self.name = "<%s>" % NAMES[stream]
        self.mode = "w"
        self.buffer = _Bytes(self)
        self._output = output
        self._stream = stream
        self._fd = fd
        self.pending = ""
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forked)

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        with self._lock:
            self.pending += text
            if "\n" in text or len(self.pending) > PART_BYTES_MAX:
                self.flush()
        return len(text)

    def flush(self):
        with self._lock:
            text, self.pending = self.pending, ""
        if text:
            self._output.send(self._stream, self._fd, text)

    def writable(self):
        return True

    def isatty(self):
        return False

    def fileno(self):
        return self._fd

    def reconfigure(self, **settings):
        """Accepted as sys.stdout's is; lines and UTF-8 are all there is."""

    def close(self):
        self.flush()

    def _forked(self):
        self._lock = threading.RLock()
        self.pending = ""


class _Bytes(io.RawIOBase):
    """The `buffer` of a Stream: bytes, as UTF-8."""

    def __init__(self, stream):
        super().__init__()
        self._stream = stream

    def writable(self):
        return True

    def fileno(self):
        return self._stream.fileno()

    def write(self, data):
        data = bytes(data)
        self._stream.write(data.decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self):
        self._stream.flush()

    def close(self):
        self.flush()


class NoInput(io.TextIOBase):
    """Stands in for sys.stdin: nobody is there to write to it."""

    name = "<stdin>"
    encoding = "utf-8"

    def readable(self):
        return False

    def fileno(self):
        return 0

    def read(self, *_):
        raise io.UnsupportedOperation("a function has no standard input: give it data")

    readline = readlines = __next__ = read


class Handler(logging.Handler):
    """The root logger's handler: `LEVEL logger: message` on the stream "log"."""

    def __init__(self, output):
        super().__init__()
        self._output = output
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record):
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self._output.send(LOG, 2, text + "\n")


class Capture:
    """Installs the streams and the log handler, and gives each run its output."""

    def __init__(self, channel, bytes_max):
        self._output = Output(channel, bytes_max)
        self.stdout = Stream(self._output, STDOUT, 1)
        self.stderr = Stream(self._output, STDERR, 2)
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        root.addHandler(Handler(self._output))

    def begin(self, run):
        sys.stdout, sys.stderr = self.stdout, self.stderr
        self._output.begin(run)

    def end(self):
        if self.stdout.pending:
            self.stdout.flush()
        if self.stderr.pending:
            self.stderr.flush()
        return self._output.end()


def _write_raw(fd, data):
    try:
        os.write(fd, data)
    except OSError:
        pass
