"""What code schedules: items that its run's owner stores."""

import json
from math import ceil


AFTER_MAX = 100 * 365 * 24 * 3600  # seconds; the owner's limit, too


class ScheduleRefused(Exception):
    """The item was not stored. `code` says why in one of the API's words, such as
    "not_found"; `field` names what is at fault, or is ""."""

    def __init__(self, code, message, field=""):
        super().__init__(message)
        self.code = code
        self.field = field


class Scheduled:
    """An item that is stored."""

    __slots__ = ("id", "name", "_at")

    def __init__(self, id, name, at):
        self.id = id
        self.name = name
        self._at = at

    @property
    def run_date_time(self):
        """When it is due: an aware datetime in UTC."""
        from datetime import datetime

        return datetime.fromisoformat(self._at[:-1] + "+00:00")

    def __eq__(self, other):
        if type(other) is not Scheduled:
            return NotImplemented
        return self.id == other.id

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return "Scheduled(id=%r, name=%r, run_date_time=%r)" % (self.id, self.name, self._at)


class Scheduler:
    """The function `schedule`. It asks through what the process was given."""

    def __init__(self):
        self._ask = None  # bytes of a question to those of its answer
        self._encode = None
        self._run = None  # and attempt
        self._names = {}  # of what it has scheduled, and whether the name was given

    def connect(self, ask, encode):
        self._ask, self._encode = ask, encode

    def schedule(self, function, *, at=None, after=None, data=None, name=None):
        """Schedules one run of a function, as the user of this run; returns when
        it is stored.

            schedule("send the second mail", after="3d", data={"to": "ada"})

        function: its name, its id, or {"id": …}.
        at: a datetime, or a time such as "2026-12-24T12:00:00Z"; UTC where it
        has no offset. after: a timedelta, seconds, or a duration such as "90s",
        "1h30m" or "3d". One of the two is needed; what has passed is due at once.
        data: a dict of JSON, the keyword arguments of the run.
        name: that of the item; the function's, if left out. The same name in the
        same run is the same item, also when the run is tried again: what was
        stored first stays, whatever is given later.

        Raises ScheduleRefused if the item cannot be stored.
        """
        if self._ask is None:
            raise RuntimeError("only the code of a run can schedule")
        if isinstance(function, dict):
            shown = function.get("id")
        else:
            shown = function
        if not isinstance(shown, str):
            raise TypeError("function must be a name, an id or {\"id\": …}, not %r" % (function,))
        if (at is None) == (after is None):
            raise TypeError("give one of at and after")
        given = name is not None
        if not given:
            name = shown
        elif not isinstance(name, str):
            raise TypeError("name must be a string, not %s" % type(name).__name__)
        names = self._of_this_run()
        if name in names and not (given and names[name]):
            raise ValueError("this run has scheduled %r before: give each item a name of its own" % name)
        if isinstance(function, dict):
            function = {"id": shown}
        question = {"name": name, "function": function}
        if at is not None:
            question["at"] = _time(at)
        else:
            question["after"] = _duration(after)
        if data is not None and not isinstance(data, dict):
            raise TypeError("data must be a dict, not %s" % type(data).__name__)
        answer = json.loads(self._ask(self._encode(question, data)))
        refused = answer.get("error")
        if refused:
            raise ScheduleRefused(refused["code"], refused["message"], refused.get("field", ""))
        names[name] = given
        return Scheduled(answer["id"], name, answer["run_date_time"])

    def _of_this_run(self):
        """The names in this run. Without a name of its own a second item for the
        same function would be taken for the first, and never be."""
        from valstorm import run

        if self._run != (run.id, run.attempt):
            self._run, self._names = (run.id, run.attempt), {}
        return self._names


def _time(at):
    if isinstance(at, str):
        return at
    if not hasattr(at, "isoformat") or not hasattr(at, "hour"):
        raise TypeError("at must be a datetime or a string, not %s" % type(at).__name__)
    return at.isoformat()


def _duration(after):
    if isinstance(after, str):
        return after
    if hasattr(after, "total_seconds"):
        after = after.total_seconds()
    if isinstance(after, bool) or not isinstance(after, (int, float)):
        raise TypeError("after must be a timedelta, seconds or a string, not %s" % type(after).__name__)
    if not 0 <= after <= AFTER_MAX:  # what is not a number is neither
        raise ValueError("after must be 0 seconds to 100 years, not %r" % after)
    return "%dms" % ceil(after * 1000)
