"""The command `bitscape`: one module a command, each a thin layer over the Python interface."""

from bitscape.cli.entry import main

__all__ = ["main"]
