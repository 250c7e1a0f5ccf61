"""Entry of a worker process: says hello on its own pipe, then serves.

Started as `python -I -X utf8 worker.py REQUESTS RESPONSES CLOCK`, three
inherited file descriptors. Standard output and error belong to the code that runs here.
This file must stay readable for every Python 3, so that one that is too old
can say so.
"""

import os
import struct
import sys

PROTOCOL = 1


def hello(fd):
    version = "%d.%d.%d" % sys.version_info[:3]
    executable = (sys.executable or "").replace("\\", "\\\\").replace('"', '\\"')
    body = '{"protocol":%d,"python":"%s","executable":"%s"}' % (PROTOCOL, version, executable)
    body = struct.pack(">BQ", ord("h"), 0) + body.encode("utf-8", "replace")
    os.write(fd, struct.pack(">I", len(body)) + body)


if __name__ == "__main__":
    requests, responses, clock = (int(fd) for fd in sys.argv[1:4])
    if sys.version_info < (3, 9):
        hello(responses)
        sys.exit(1)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from belfry_shim import serve
    hello(responses)
    serve.main(requests, responses, clock)
