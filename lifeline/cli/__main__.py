"""``python -m lifeline.cli``: the command, for processes that start it as a child."""

from lifeline.cli import main

main()
