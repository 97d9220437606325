"""What kinds of jobs there are. A kind is one line here and a module with ``Parameters`` and ``run``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from importlib import import_module
from typing import cast

from pydantic import BaseModel, ValidationError

from lifeline.errors import ConfigurationError, NotFoundError
from lifeline.model import JsonObject, Role
from lifeline.planning import Progress
from lifeline.storage.database import Connection

Run = Callable[[Connection, JsonObject, Progress], JsonObject]
"""``connection`` commits each statement by itself; open a transaction where several belong together. What a run writes
must be the same when it is run twice: a job whose process died is begun again."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """``module`` has ``Parameters`` (a pydantic model: what may be asked for) and ``run`` (see ``Run``)."""

    module: str
    what: str
    role: Role = Role.ENGINEER
    nightly: time | None = None
    """Local time of the city at which it is put into the queue every night, with its default parameters."""

    @property
    def parameters(self) -> type[BaseModel]:
        return cast("type[BaseModel]", import_module(self.module).Parameters)

    @property
    def run(self) -> Run:
        return cast("Run", import_module(self.module).run)


KINDS: dict[str, JobKind] = {
    "plan": JobKind("lifeline.planning.renewal_job", "A renewal plan: what to renew first for a budget"),
    "criticality": JobKind("lifeline.planning.criticality", "what is lost with each asset", nightly=time(1, 30)),
    "calibrate": JobKind("lifeline.planning.recalibration", "rates of failure fitted to the break records"),
    "stress": JobKind("lifeline.planning.stress", "a storm, a loss or an earthquake tried on the network"),
}


def kind_of(name: str, kinds: Mapping[str, JobKind] = KINDS) -> JobKind:
    """Raises NotFoundError for a kind that there is not."""
    if name not in kinds:
        raise NotFoundError(f"there is no kind of job {name!r}; there are: {', '.join(sorted(kinds)) or 'none'}")
    return kinds[name]


def checked(kind: JobKind, parameters: JsonObject) -> JsonObject:
    """The parameters with their defaults, as they are stored. Raises ConfigurationError that names each wrong one."""
    try:
        return kind.parameters.model_validate(parameters, strict=False).model_dump(mode="json")
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'parameters'}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(wrong) from error
