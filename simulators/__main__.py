"""``python -m simulators``."""

from simulators.commands import app

app()
