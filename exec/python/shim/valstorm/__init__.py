"""What every function can import with nothing installed.

    from valstorm.models import User
    from valstorm import run     # the current run: run.id, run.attempt, …
"""

from valstorm._run import Run as _Run
from valstorm._stop import Canceled, Stopped, TimedOut  # noqa: F401

run = _Run()
