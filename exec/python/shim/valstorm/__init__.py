"""What every function can import with nothing installed.

    from valstorm.models import User
    from valstorm import run          # the current run: run.id, run.attempt, …
    from valstorm import schedule     # a run of another function, later
"""

from valstorm._run import Run as _Run
from valstorm._schedule import Scheduled, Scheduler as _Scheduler, ScheduleRefused  # noqa: F401
from valstorm._stop import Canceled, Stopped, TimedOut  # noqa: F401

run = _Run()
_scheduler = _Scheduler()
schedule = _scheduler.schedule
