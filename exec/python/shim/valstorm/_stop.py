"""What code is told that has to end: an exception, raised where it is. Not an
Exception, so that `except Exception` does not catch it; a moment later the
process is killed, whatever the code made of it."""


class Stopped(BaseException):
    """the run has to end"""


class TimedOut(Stopped):
    """the time-out of the run is over"""


class Canceled(Stopped):
    """the run was canceled"""
