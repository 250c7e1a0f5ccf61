"""Prints where this Python is and what is installed for it, as a line of JSON."""

import importlib.metadata
import json
import sys

found = {}
for distribution in importlib.metadata.distributions():
    try:
        name, version = distribution.metadata["Name"], distribution.version
    except Exception:  # a broken installation of one package hides no other
        continue
    if name and version:
        found.setdefault(name, version)  # the first on the path is imported

packages = [{"name": name, "version": version} for name, version in found.items()]
print()
print(json.dumps({"path": sys.executable, "packages": packages}))
