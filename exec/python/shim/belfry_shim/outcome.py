"""A value of the code's as JSON; an exception as type, message and traceback."""

import errno
import json
import os
import traceback
from math import isfinite

DEPTH_MAX = 500
TRACEBACK_FRAMES_MAX = 1000
MESSAGE_BYTES_MAX = 4 << 10
TRACEBACK_BYTES_MAX = 16 << 10

_SCALARS = frozenset((str, int, bool, type(None)))
_ALLOWED = "use strings, numbers, booleans, None, lists and objects with string keys"


def _encoder():
    """Turns a value into compact JSON text. Uses the C encoder that
    json.JSONEncoder makes anew for each value, but keeps it; `_check` has
    seen to it that no value holds itself."""
    slow = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        parts = json.encoder.c_make_encoder(
            None, slow.default, json.encoder.encode_basestring, None, ":", ",", False, False, False
        )
    except TypeError:  # another Python than CPython, or a later one
        return slow.encode
    return lambda value: "".join(parts(value, 0))


_encode = _encoder()

_OURS = tuple(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), package, "") for package in ("belfry_shim", "valstorm")
)


def text(value):
    """A value of our own as JSON, in bytes: whatever the code made of json."""
    return _encode(value).encode("utf-8", "backslashreplace")


class Bounds:
    """What an error of the system may be about."""

    def __init__(self, processes, files):
        self.processes = processes
        self.files = files
        self.memory = 0

    def hint(self, error):
        """What to say of an error besides what it says, or nothing."""
        number = error.errno if isinstance(error, OSError) else 0
        if number == errno.EAGAIN and isinstance(error, BlockingIOError) or (
            isinstance(error, RuntimeError) and str(error).startswith("can't start new thread")
        ):
            return "a run may have %d processes and threads" % self.processes
        if number in (errno.EMFILE, errno.ENFILE):
            return "a run may have %d files open" % self.files
        return ""


class Refusal(Exception):
    """An error of Belfry's own: all of it is in the message."""


class ResultNotJSON(Refusal):
    """The return value cannot be written as JSON."""


class ResultTooLarge(Refusal):
    """The JSON of the return value is larger than a result may be."""


class Value:
    """What is written as JSON for others: what it is called, and what is raised
    when it cannot be."""

    def __init__(self, name, bytes_max, not_json, too_large, less):
        self.name = name
        self.bytes_max = bytes_max
        self.not_json = not_json
        self.too_large = too_large
        self.less = less


RESULT = Value("result", 256 << 10, ResultNotJSON, ResultTooLarge, "return less")
ITEM = Value("name", 16 << 10, TypeError, ValueError, "shorten it")
DATA = Value("data", 256 << 10, TypeError, ValueError, "store it elsewhere and pass a reference")


def encode(value, of=RESULT):
    """The JSON of a value, as bytes.

    Stricter than json.dumps: a key that is not a string is refused, not
    turned into one (two keys could become the same), and so are NaN, infinity
    and text that is not Unicode.
    """
    try:
        _check(value, 0)
        text = _encode(value)
        data = text.encode("utf-8")
    except _Flaw as flaw:
        raise of.not_json("%s%s: %s; %s" % (of.name, "".join(reversed(flaw.path)), flaw.why, _ALLOWED)) from None
    except UnicodeEncodeError:
        raise of.not_json("the %s holds text with a lone surrogate, which is not Unicode" % of.name) from None
    except RecursionError:
        raise of.not_json("the %s is nested too deeply" % of.name) from None
    except (TypeError, ValueError) as err:
        raise of.not_json("%s; %s" % (err, _ALLOWED)) from None
    if len(data) > of.bytes_max:
        raise of.too_large("the %s is %d bytes of JSON; %d are allowed: %s" % (of.name, len(data), of.bytes_max, of.less))
    return data


def describe(error, filename, bounds):
    """An exception as JSON, in bytes. Shows the frames from the function's own
    code on; never raises, whatever the exception's methods do."""
    kind = _try(lambda: str(type(error).__name__)) or "Exception"
    message = _try(lambda: str(error))
    if message is None:
        message = "the exception has no readable message"
    if isinstance(error, MemoryError):
        kind, message = "MemoryLimitExceeded", "the run needs more memory than its %d bytes" % bounds.memory
    hint = _try(lambda: bounds.hint(error))
    if hint:
        message = "%s: %s" % (message, hint)
    trace = _try(lambda: _traceback(error, filename))
    if trace is None:  # out of memory, most likely: let go of what the frames hold
        _try(lambda: traceback.clear_frames(error.__traceback__))
        trace = ""
    return text({
        "type": _cut(kind, 200),
        "message": _cut(message, MESSAGE_BYTES_MAX),
        "traceback": _cut(trace, TRACEBACK_BYTES_MAX),
    })


class _Flaw(Exception):
    def __init__(self, why):
        super().__init__(why)
        self.why = why
        self.path = []


def _check(value, depth):
    kind = type(value)
    if kind in _SCALARS:
        return
    if depth > DEPTH_MAX:
        raise _Flaw("nested deeper than %d levels, or holds itself" % DEPTH_MAX)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _Flaw("a key is %s, not a string" % _a(key))
            try:
                _check(item, depth + 1)
            except _Flaw as flaw:
                _at(flaw, ".%s" % key if key.isidentifier() else "[%s]" % json.dumps(key))
                raise
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            try:
                _check(item, depth + 1)
            except _Flaw as flaw:
                _at(flaw, "[%d]" % index)
                raise
    elif isinstance(value, float):
        if not isfinite(value):
            raise _Flaw("%r is not JSON" % float(value))
    elif not isinstance(value, (str, int)):
        raise _Flaw("%s is not JSON" % _a(value))


def _at(flaw, step):
    if len(flaw.path) < 20:
        flaw.path.append(step[:100])


def _a(value):
    name = type(value).__name__
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name


def _traceback(error, filename):
    if isinstance(error, Refusal):
        return ""
    own = error.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename != filename:
        own = own.tb_next
    shown = traceback.TracebackException(type(error), error, own, limit=-TRACEBACK_FRAMES_MAX)
    while len(shown.stack) > 1 and shown.stack[-1].filename.startswith(_OURS):
        del shown.stack[-1]  # how we refuse something is nothing to read
    return "".join(shown.format()).rstrip("\n")


def _try(make):
    try:
        return make()
    except BaseException:
        return None


def _cut(text, bytes_max):
    """At most bytes_max bytes of UTF-8; the middle is cut."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > bytes_max:
        half = bytes_max // 2 - 32
        data = data[:half] + b"\n... %d bytes cut ...\n" % (len(data) - 2 * half) + data[-half:]
    return data.decode("utf-8", "ignore")
