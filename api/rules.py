"""Routes of rules: those in force, what holds at which place, and changes: proposed, judged on the past, decided."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.access import Access
from api.city import city
from api.handling import Note, storable
from api.parameters import After, BigId, Limit, StrictRoute, decode_cursor, encode_cursor
from lifeline.model import AlertKind, JsonObject, Role
from lifeline.principal import Principal
from lifeline.storage import rulebook
from lifeline.storage.database import borrow
from lifeline.storage.rulebook import Change, ProposalState, Scope

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["rules"])
_viewer = Depends(Access(Role.VIEWER))
EngineerKey = Annotated[Principal, Depends(Access(Role.ENGINEER))]
RuleName = Annotated[str, Path(max_length=64, examples=["methane.level"])]
Word = Annotated[str, AfterValidator(storable), Field(min_length=1, max_length=128)]


class _Line(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class RuleOut(_Line):
    """A rule in force. ``networks`` empty: all; ``content`` is what its file says: title, advice, limits, delays ..."""

    rule: str
    version: str
    detector: str
    kind: AlertKind
    networks: list[str]
    content: JsonObject
    loaded_at: datetime


class RuleList(BaseModel):
    items: list[RuleOut]


class OverrideOut(_Line):
    """A rule's limits at one place; ``limits`` null: the rule is off there."""

    rule: str
    scope: Scope
    target: str
    limits: JsonObject | None
    note: str
    created_by: str
    created_at: datetime


class OverrideList(BaseModel):
    items: list[OverrideOut]


class ChangeOut(_Line):
    """A change that was made. ``before`` and ``after`` are {"limits": ...}, null where there was or is no override."""

    id: Annotated[int, Field(validation_alias="change_id")]
    rule: str
    scope: Scope
    target: str
    before: JsonObject | None
    after: JsonObject | None
    actor: str
    at: datetime
    note: str
    proposal: Annotated[int | None, Field(validation_alias="proposal_id")]


class RuleWithChanges(RuleOut):
    """With the overrides that hold, and every change, the newest first."""

    overrides: list[OverrideOut]
    changes: list[ChangeOut]


class ProposalIn(BaseModel):
    """A change to a rule at one place. It is judged on the last ``days`` before anybody can accept it.

    ``limits`` by level, in the unit of the rule's quantity (or its score), where ``action`` is limits.
    """

    model_config = ConfigDict(extra="forbid")

    rule: Word
    scope: Scope
    target: Word
    action: Change = Change.LIMITS
    limits: dict[Annotated[str, Field(max_length=10)], float] | None = None
    days: Annotated[float, Field(gt=0, le=90)] = 7
    note: Note = ""


class ProposalOut(_Line):
    """A proposal. ``effect`` says what it would have done: alerts by level before and after, labels kept and lost."""

    id: Annotated[int, Field(validation_alias="proposal_id")]
    rule: str
    scope: Scope
    target: str
    action: Change
    limits: JsonObject | None
    before: JsonObject | None
    note: str
    reason: JsonObject
    proposed_by: str
    proposed_at: datetime
    days: float
    state: ProposalState
    effect: JsonObject | None
    evaluated_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str


class ProposalPage(BaseModel):
    items: list[ProposalOut]
    next: str | None


class Decision(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Note = ""


class PrecisionOut(_Line):
    """What people said of a rule's alerts of 90 days. ``zone`` empty: the network; ``precision`` null: no word."""

    rule: str
    network: str
    zone: str
    alerts: int
    genuine: int
    false_alarms: int
    precision: float | None


class PrecisionReport(BaseModel):
    """The newest nightly report, or that of a day; null where there is none."""

    day: date | None
    items: list[PrecisionOut]


@router.get("/rules", dependencies=[_viewer])
def list_rules(request: Request) -> RuleList:
    """The rules in force."""
    with borrow(city(request).pool) as connection:
        return RuleList(items=[RuleOut.model_validate(each) for each in rulebook.rules(connection)])


@router.get("/rules/{rule}", dependencies=[_viewer])
def get_rule(request: Request, rule: RuleName) -> RuleWithChanges:
    """One rule with what holds at which place, and how that came to be."""
    with borrow(city(request).pool) as connection:
        found = rulebook.rule(connection, rule)
        overrides = [OverrideOut.model_validate(each) for each in rulebook.overrides(connection, rule)]
        changes = [ChangeOut.model_validate(each) for each in rulebook.changes(connection, rule)]
    return RuleWithChanges(**RuleOut.model_validate(found).model_dump(), overrides=overrides, changes=changes)


@router.get("/rule-overrides", dependencies=[_viewer])
def list_overrides(request: Request) -> OverrideList:
    """What holds at which place, the widest scope first; a narrower one wins."""
    with borrow(city(request).pool) as connection:
        return OverrideList(items=[OverrideOut.model_validate(each) for each in rulebook.overrides(connection)])


@router.get("/rule-proposals", dependencies=[_viewer])
def list_proposals(
    request: Request,
    state: Annotated[list[ProposalState] | None, Query(description="May be repeated")] = None,
    rule: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 100,
    after: After = None,
) -> ProposalPage:
    """Proposals, the newest first: people's, and those of the nightly report."""
    last_seen = decode_cursor(after, int)
    with borrow(city(request).pool) as connection:
        found = rulebook.proposals(
            connection, states=state or [], name=rule, before_id=last_seen[0] if last_seen else None, limit=limit + 1
        )
    more = encode_cursor(found[limit - 1].proposal_id) if len(found) > limit else None
    return ProposalPage(items=[ProposalOut.model_validate(each) for each in found[:limit]], next=more)


@router.post(
    "/rule-proposals", status_code=202, responses={409: {"description": "It makes no sense, or is so already"}}
)
def propose(request: Request, body: ProposalIn, key: EngineerKey) -> ProposalOut:
    """Propose a change. `alerts` answers with what it would have done; then somebody may accept it."""
    here = city(request)
    with borrow(here.pool) as connection:
        number = rulebook.propose(
            connection, body.rule, body.scope, body.target, body.action, key.name, here.clock(), days=body.days,
            limits=None if body.limits is None else dict(body.limits), note=body.note,
        )  # fmt: skip
        return ProposalOut.model_validate(rulebook.proposal(connection, number))


@router.get("/rule-proposals/{id}", dependencies=[_viewer])
def get_proposal(request: Request, id: BigId) -> ProposalOut:  # noqa: A002
    """One proposal."""
    with borrow(city(request).pool) as connection:
        return ProposalOut.model_validate(rulebook.proposal(connection, id))


@router.post("/rule-proposals/{id}/accept", responses={409: {"description": "Not judged yet, or decided already"}})
def accept(request: Request, id: BigId, key: EngineerKey, body: Decision | None = None) -> ProposalOut:  # noqa: A002
    """Make the change: it is in force at the next tick."""
    here = city(request)
    with borrow(here.pool) as connection:
        return ProposalOut.model_validate(
            rulebook.accept(connection, id, key.name, here.clock(), (body or Decision()).note)
        )


@router.post("/rule-proposals/{id}/reject", responses={409: {"description": "Decided already"}})
def reject(request: Request, id: BigId, key: EngineerKey, body: Decision | None = None) -> ProposalOut:  # noqa: A002
    """Leave it as it is."""
    here = city(request)
    with borrow(here.pool) as connection:
        return ProposalOut.model_validate(
            rulebook.reject(connection, id, key.name, here.clock(), (body or Decision()).note)
        )


@router.get("/precision", dependencies=[_viewer])
def get_precision(
    request: Request, day: Annotated[date | None, Query(description="Of this day's report; default the newest")] = None
) -> PrecisionReport:
    """How precise the rules are where people judged their alerts: the nightly report."""
    with borrow(city(request).pool) as connection:
        found = rulebook.precision(connection, day)
    items = [PrecisionOut.model_validate(each) for each in found]
    return PrecisionReport(day=found[0].report_date if found else None, items=items)
