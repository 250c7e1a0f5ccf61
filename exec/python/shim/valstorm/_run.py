"""The current run, as the code in it sees it."""

import json

# The fields of a run, in the order in which they are sent.
ID, ATTEMPT, SCHEDULED_US, FUNCTION, NAME, VERSION, SOURCE_KIND, SOURCE_ID, DEADLINE_US = range(9)


class Source:
    """What a run came from: `kind` is "item", "trigger" or "call", `id` its id."""

    __slots__ = ("kind", "id")

    def __init__(self, kind, id):
        self.kind = kind
        self.id = id

    def __eq__(self, other):
        if type(other) is not Source:
            return NotImplemented
        return (self.kind, self.id) == (other.kind, other.id)

    def __hash__(self):
        return hash((self.kind, self.id))

    def __repr__(self):
        return "Source(kind=%r, id=%r)" % (self.kind, self.id)


class Run:
    """The current run. One object for the life of the process, so that
    `from valstorm import run` at the top of a module stays right. Outside of
    a run everything is None."""

    __slots__ = ("_raw", "_read")

    def __init__(self):
        self._raw = None
        self._read = (None,) * (DEADLINE_US + 1)

    def _now(self, raw):
        """Takes the run, as JSON; it is read when somebody looks."""
        self._raw = raw

    @property
    def _fields(self):
        if self._raw is not None:
            self._read, self._raw = json.loads(self._raw), None
        return self._read

    @property
    def id(self):
        """The run's id; the same for all its attempts."""
        return self._fields[ID]

    @property
    def attempt(self):
        """1, 2, 3 …"""
        return self._fields[ATTEMPT]

    @property
    def scheduled_for(self):
        """When the run was due: an aware datetime in UTC."""
        return _time(self._fields[SCHEDULED_US])

    @property
    def deadline(self):
        """When its time-out is over: an aware datetime in UTC, or None."""
        return _time(self._fields[DEADLINE_US])

    @property
    def function(self):
        """The function's name."""
        return self._fields[NAME]

    @property
    def function_id(self):
        return self._fields[FUNCTION]

    @property
    def function_version(self):
        return self._fields[VERSION]

    @property
    def source(self):
        """What the run came from: `source.kind` and `source.id`."""
        if self._fields[SOURCE_KIND] is None:
            return None
        return Source(self._fields[SOURCE_KIND], self._fields[SOURCE_ID])

    @property
    def trigger(self):
        """The id of the trigger that it came from, or None."""
        return self._of("trigger")

    @property
    def item(self):
        """The id of the scheduled item that it came from, or None."""
        return self._of("item")

    def _of(self, kind):
        return self._fields[SOURCE_ID] if self._fields[SOURCE_KIND] == kind else None

    def __repr__(self):
        return "Run(id=%r, attempt=%r, function=%r)" % (self.id, self.attempt, self.function)


def _time(micros):
    if micros is None:
        return None
    from datetime import datetime, timedelta, timezone

    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
