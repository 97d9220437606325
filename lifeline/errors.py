"""Every error that Lifeline raises on purpose.

LifelineError
├── ConfigurationError       a setting is missing or makes no sense; the message says which and how to mend it
├── CatalogueError           a catalogue or rules file is wrong
├── ImportRejectedError      a file was rejected as a whole; carries every problem with its line
├── StorageError             the database refused a statement
│   ├── RejectedDataError         the database refused the data (out of range, a constraint): trying again will not help
│   └── StorageUnavailableError   the database is away; trying again later may help
├── MigrationError           the schema cannot be brought to this version
├── ServiceError             an embedded service cannot be unpacked or started
└── NotFoundError            the thing asked for does not exist
    ConflictError            the thing has changed meanwhile, or is not in a state that allows this
"""

from collections.abc import Sequence
from dataclasses import dataclass


class LifelineError(Exception):
    """Root of the tree."""


class ConfigurationError(LifelineError):
    """A setting is missing or makes no sense."""


class CatalogueError(LifelineError):
    """A catalogue or rules file is wrong."""


class StorageError(LifelineError):
    """The database refused a statement."""


class RejectedDataError(StorageError):
    """The database refused the data, as out of range or by a constraint; trying again will not help."""


class StorageUnavailableError(StorageError):
    """The database is away; trying again later may help."""


class MigrationError(LifelineError):
    """The schema cannot be brought to this version."""


class ServiceError(LifelineError):
    """An embedded service cannot be unpacked or started."""


class NotFoundError(LifelineError):
    """The thing asked for does not exist."""


class OutsideError(LifelineError):
    """What somebody wants lies outside the part of the city that he has."""


class ConflictError(LifelineError):
    """The thing has changed meanwhile, or is not in a state that allows this."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in an input file."""

    line: int
    message: str
    unit: str = "line"
    """`feature` where the file has no lines."""

    def __str__(self) -> str:
        return f"{self.unit} {self.line}: {self.message}"


class ImportRejectedError(LifelineError):
    """A file was rejected as a whole: nothing of it was stored."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        listed = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{source} was rejected, nothing was stored; {len(self.problems)} problem(s):\n{listed}")
