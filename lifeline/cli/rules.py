"""`lifeline rules`: the rules in force, what holds at which place, and changes: proposed, judged, decided."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from lifeline.cli.address import HomeOption, find
from lifeline.cli.console import note, out, say, table
from lifeline.errors import ConfigurationError
from lifeline.model import JsonObject, Level
from lifeline.storage import rulebook
from lifeline.storage.rulebook import Change, Proposal, ProposalState, Scope

app = typer.Typer(help="Rules: list them and their overrides; propose, accept, reject a change.", no_args_is_help=True)

LEVELS = tuple(level.slug for level in reversed(Level))
"""The mildest first, as limits are read."""

Number = Annotated[int, typer.Argument(min=1, help="The proposal's number.")]
Why = Annotated[str, typer.Option("--note", help="Why.")]


@app.command("list", epilog="Examples: `lifeline rules list`, `lifeline rules list --proposals`")
def list_(
    proposals: Annotated[
        bool,
        typer.Option("--proposals", help="The proposals instead, the newest first, with what they would have done."),
    ] = False,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    state: Annotated[
        list[ProposalState] | None, typer.Option(help="Only proposals in this state; may be given again.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many proposals at most.")] = 100,
    home: HomeOption = None,
) -> None:
    """List the rules in force, or the proposals to change them."""
    with find(home).connection() as connection:
        if proposals or state:
            _show_proposals(rulebook.proposals(connection, states=state or (), name=rule, limit=limit))
            return
        found = [rulebook.rule(connection, rule)] if rule else rulebook.rules(connection)
    columns = table("rule", "kind", "networks", "detector", "limits", "version", "title")
    for each in found:
        words = each.content.get("title") or {}
        title = " ".join(words[language] for language in ("zh", "en") if language in words)
        columns.add_row(
            each.rule, each.kind, ", ".join(each.networks) or "all", each.detector,
            own_limits(each.content), each.version, title,
        )  # fmt: skip
    out.print(columns)
    if not found:
        note("no rules: `alerts` writes them when it starts")


@app.command(epilog="Examples: `lifeline rules overrides`, `lifeline rules overrides --rule methane.level --changes`")
def overrides(
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    changes: Annotated[bool, typer.Option("--changes", help="Every change that was made, the newest first.")] = False,
    home: HomeOption = None,
) -> None:
    """List what holds at which place instead of the rules' own limits; a narrower place wins."""
    with find(home).connection() as connection:
        if changes:
            columns = table("change", "rule", "place", "before", "after", "by", "when (UTC)", "proposal", "note")
            for change in rulebook.changes(connection, rule):
                columns.add_row(
                    f"{change.change_id}", change.rule, f"{change.scope} {change.target}", _held(change.before),
                    _held(change.after), change.actor, f"{change.at:%Y-%m-%d %H:%M}", f"{change.proposal_id or ''}",
                    change.note,
                )  # fmt: skip
        else:
            columns = table("rule", "place", "limits", "by", "since (UTC)", "note")
            for each in rulebook.overrides(connection, rule):
                columns.add_row(
                    each.rule, f"{each.scope} {each.target}", _limits(each.limits), each.created_by,
                    f"{each.created_at:%Y-%m-%d %H:%M}", each.note,
                )  # fmt: skip
    out.print(columns)


@app.command(
    epilog="Examples: `lifeline rules propose methane.level asset K-7 --limit yellow=0.6 --limit red=1.5 --days 30`, "
    "`... asset_kind tank --off`, `... zone Z-3 --remove`"
)
def propose(
    rule: Annotated[str, typer.Argument(help="The rule.")],
    scope: Annotated[Scope, typer.Argument(help="What kind of place.")],
    target: Annotated[str, typer.Argument(help="Which one: the network, kind, zone, asset, or DEVICE/CHANNEL.")],
    limit: Annotated[
        list[str] | None,
        typer.Option(help="LEVEL=NUMBER, in the quantity's unit or the detector's score; once a level."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Switch the rule off there.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the override away.")] = False,
    days: Annotated[float, typer.Option(min=0.01, max=90, help="Judge it on the last days.")] = 7,
    why: Why = "",
    home: HomeOption = None,
) -> None:
    """Propose other limits for a place. `alerts` answers with what they would have done; then somebody accepts."""
    if (limit is not None) + off + remove != 1:
        raise typer.BadParameter("give either --limit, --off or --remove")
    action = Change.OFF if off else Change.REMOVE if remove else Change.LIMITS
    limits = read_limits(limit) if limit else None
    with find(home).connection() as connection:
        number = rulebook.propose(
            connection, rule, scope, target, action, getpass.getuser(), datetime.now(UTC), limits=limits, days=days,
            note=why,
        )  # fmt: skip
    say(f"proposal {number} waits to be judged; `lifeline rules list --proposals` shows what it would have done")


@app.command(epilog="Example: `lifeline rules accept 12 --note 'seen on site'`")
def accept(number: Number, why: Why = "", home: HomeOption = None) -> None:
    """Make a proposed change: it is in force at the next tick."""
    with find(home).connection() as connection:
        done = rulebook.accept(connection, number, getpass.getuser(), datetime.now(UTC), why)
    say(f"accepted {number}: {done.rule} at {done.scope} {done.target}: {_asked(done)}")


@app.command(epilog="Example: `lifeline rules reject 12 --note 'too few labels'`")
def reject(number: Number, why: Why = "", home: HomeOption = None) -> None:
    """Leave the rule as it is."""
    with find(home).connection() as connection:
        rulebook.reject(connection, number, getpass.getuser(), datetime.now(UTC), why)
    say(f"rejected {number}")


def read_limits(texts: list[str]) -> JsonObject:
    """``yellow=0.6`` ... as limits by level. Raises ConfigurationError. Pure."""
    limits: JsonObject = {}
    for text in texts:
        level, equals, number = (part.strip() for part in text.partition("="))
        if not equals or level not in LEVELS or level in limits:
            raise ConfigurationError(f"--limit {text!r}: write each level once, LEVEL=NUMBER, of {', '.join(LEVELS)}")
        try:
            limits[level] = float(number)
        except ValueError as error:
            raise ConfigurationError(f"--limit {text!r}: {number!r} is no number") from error
    return limits


def _show_proposals(found: list[Proposal]) -> None:
    columns = table(
        "proposal", "state", "rule", "place", "now", "proposed", "days", "what it would have done", "by", "note"
    )
    for each in found:
        columns.add_row(
            f"{each.proposal_id}", each.state, each.rule, f"{each.scope} {each.target}", _held(each.before),
            _asked(each), f"{each.days:g}", effect_in_words(each.effect), each.proposed_by,
            each.decision_note or each.note,
        )  # fmt: skip
    out.print(columns)


def own_limits(content: JsonObject) -> str:
    """The limits of a rule's file, and of what they are percent where they are. Pure."""
    base, limits = content.get("percent_of"), _limits(content.get("limits") or {})
    return limits if base is None else f"{limits} % of {base}"


def effect_in_words(effect: JsonObject | None) -> str:
    """``alerts 24 -> 3 (1 sensors); genuine lost 0 of 2, false dropped 5 of 6``; why it was not judged. Pure."""
    if not effect:
        return "not judged yet"
    if "before" not in effect:
        return str(effect.get("error") or "not judged")
    labels = effect["labels"]
    genuine, false = (labels[f"{kind}_kept"] + labels[f"{kind}_{gone}"] for kind, gone in _KINDS)
    words = f"alerts {effect['before']['alerts']} -> {effect['after']['alerts']} ({effect['sensors']} sensors)"
    if genuine or false:
        words += (
            f"; genuine lost {labels['genuine_lost']} of {genuine}, false dropped {labels['false_dropped']} of {false}"
        )
    return words


_KINDS = (("genuine", "lost"), ("false", "dropped"))


def _asked(proposal: Proposal) -> str:
    return "remove" if proposal.action is Change.REMOVE else _limits(proposal.limits)


def _held(state: JsonObject | None) -> str:
    """What an override says; without one the rule's own limits hold."""
    return "own" if state is None else _limits(state["limits"])


def _limits(limits: JsonObject | None) -> str:
    if limits is None:
        return "off"
    return ", ".join(f"{level} {limits[level]:g}" for level in LEVELS if level in limits)
