"""Does code compile and define execute(current_user, **kwargs)?

Nothing of it is executed.
"""

import ast
import warnings

WRITE = "write def execute(current_user, **kwargs): at the top level"


def check(name, code):
    """None if the code is sound, else a dict of message, line, column."""
    nul = code.find("\0")
    if nul >= 0:
        line = code.count("\n", 0, nul) + 1
        return _flaw("the code holds a NUL byte; remove it", line, nul - code.rfind("\n", 0, nul))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code, name)
            compile(code, name, "exec", dont_inherit=True)
    except SyntaxError as err:
        return _flaw(err.msg or "invalid syntax", err.lineno, err.offset)
    except (RecursionError, MemoryError):
        return _flaw("the code is nested too deeply for Python's parser", 0, 0)
    except (ValueError, OverflowError) as err:
        return _flaw(str(err), 0, 0)
    found = list(_executes(tree.body))
    if not found:
        return _flaw("there is no function execute; " + WRITE, 0, 0)
    for node in found:
        why = _signature(node.args)
        if why:
            return _flaw("%s; %s" % (why, WRITE), node.lineno, node.col_offset + 1)
    return None


def _executes(body):
    """The definitions of execute among these statements, and in the branches
    of those that are no scope of their own (if, try, with, …)."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name == "execute":
                yield node
        elif not isinstance(node, ast.ClassDef):
            for branch in ("body", "orelse", "finalbody"):
                yield from _executes(_statements(node, branch))
            for part in ("handlers", "cases"):
                for inner in getattr(node, part, ()):
                    yield from _executes(inner.body)


def _statements(node, branch):
    found = getattr(node, branch, ())
    return found if isinstance(found, list) else ()


def _signature(args):
    first = (args.posonlyargs + args.args)[:1]
    if not first or first[0].arg != "current_user":
        return "execute does not take current_user first"
    if args.kwarg is None:
        return "execute does not take **kwargs"
    return None


def _flaw(message, line, column):
    return {"message": message, "line": max(line or 0, 0), "column": max(column or 0, 0)}
