"""The code of one function: loaded once, called again and again."""

import linecache
import sys
import types

from belfry_shim.outcome import Refusal

MODULE = "belfry_function"


class ExecuteMissing(Refusal):
    """The code defines no execute that can be called."""


class Function:
    """A loaded function. Its module lives as long as the process: what one
    run leaves in a global, the next run of the same worker finds."""

    def __init__(self, name, version, code, memory):
        self.filename = "<function %s v%d>" % (name, version)
        self.memory = memory  # bytes
        self._code = code
        # No modification time: linecache keeps such an entry.
        linecache.cache[self.filename] = (len(code), None, code.splitlines(True), self.filename)

    def load(self):
        """Runs the module and returns its execute. Raises whatever the module
        does, and SyntaxError."""
        module = types.ModuleType(MODULE)
        module.__file__ = self.filename
        sys.modules[MODULE] = module
        exec(compile(self._code, self.filename, "exec", dont_inherit=True), module.__dict__)
        execute = module.__dict__.get("execute")
        if not callable(execute):
            raise ExecuteMissing("write def execute(current_user, **kwargs): at the top level")
        return execute


def finish(value):
    """What an awaitable comes to, in an event loop of its own."""
    import asyncio

    async def main():
        return await value

    return asyncio.run(main())
