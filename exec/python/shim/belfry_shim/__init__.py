"""The parent of all workers, and what a worker does with the frames it is sent.

parent     forks workers, kills them, says when they are gone
sandbox    what a worker is kept from, by levels
channel    frames over two file descriptors: the protocol
serve      one request after the other: run, check
function   the code of one function: loaded once, called again and again
outcome    a return value as JSON, an exception as type, message, traceback
capture    print and logging as frames
limits     memory, core dumps
check      does code compile and define execute(current_user, **kwargs)

Standard library only. Nothing here trusts the code that it runs to leave
sys.stdout, the time or the working directory as they were.
"""
