"""Lifeline: what the processes share. See ARCHITECTURE.md."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lifeline")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"
