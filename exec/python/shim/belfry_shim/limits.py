"""The memory that a run may have."""

import os
import resource


def memory(limit):
    """Lets the process have `limit` bytes of data more than it has now; what
    goes beyond raises MemoryError. For good: the limit cannot be raised. 0 is
    no limit."""
    if limit <= 0:
        return
    allowed = data_bytes() + limit
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def data_bytes():
    """Private writable memory, what RLIMIT_DATA counts; 0 if unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
