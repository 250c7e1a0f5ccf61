"""Tests of the shim: `python3 -m unittest discover -s tests -t .` beside worker.py."""
