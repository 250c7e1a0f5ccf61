"""Entry of the parent of all workers: says hello, then forks them.

Started as `python -I -X utf8 worker.py SOCKET CONFIG`: an inherited descriptor,
and JSON. This file must stay readable for every Python 3, so that one that is
too old can say so.
"""

import os
import sys

PROTOCOL = 3


def hello(fd, more=""):
    version = "%d.%d.%d" % sys.version_info[:3]
    executable = (sys.executable or "").replace("\\", "\\\\").replace('"', '\\"')
    text = '{"hello":%d,"python":"%s","executable":"%s"%s}' % (PROTOCOL, version, executable, more)
    os.write(fd, text.encode("utf-8", "replace"))


if __name__ == "__main__":
    fd = int(sys.argv[1])
    if sys.version_info < (3, 9):
        hello(fd)
        sys.exit(1)
    sys.dont_write_bytecode = True  # the shim's directory is written by nobody but its owner
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from belfry_shim import parent
    parent.main(fd, sys.argv[2], hello)
