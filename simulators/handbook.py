"""Writes docs/reference/scenarios.md from the kinds of events and the scenario files themselves: `make reference`."""

from collections.abc import Iterator
from importlib import resources

from lifeline.scoring import CAUSES, LEVELS, SHOWS
from simulators.faults import STEP
from simulators.kinds import KINDS, Kind, Nature
from simulators.scenario import EventSpec, load_scenario, shipped

TITLES = {
    Nature.PHYSICAL: "What happens to the networks",
    Nature.DEVICE: "What happens to devices",
    Nature.FAULT: "Sick sensors",
    Nature.TAMPERING: "Cyber tampering",
}


def scenarios_page(note: str) -> str:
    """The whole page, Markdown."""
    prose = resources.files("simulators").joinpath("scenarios.md").read_text(encoding="utf-8")
    before, after = prose.split("<!-- kinds and files -->\n")
    lines = [before.replace("<!-- note -->", note).rstrip(), ""]
    lines += [*_kinds(), "## Shipped scenarios", "", *_shipped(), after.strip(), ""]
    return "\n".join(lines)


def _kinds() -> Iterator[str]:
    yield from ("## Kinds of event", "")
    for nature, title in TITLES.items():
        yield from (f"### {title}", "")
        for name, kind in KINDS.items():
            if kind.nature is nature:
                yield from _kind(name, kind)
        if nature is Nature.FAULT:
            steps = ", ".join(f"{quantity} {step:g}" for quantity, step in STEP.items())
            yield from (f"One typical step (`size` 1): {steps}, each in its unit.", "")


def _kind(name: str, kind: Kind) -> Iterator[str]:
    yield from (f"#### `{name}`", "", kind.meaning, "")
    yield from (f"`place`: {kind.place}." if kind.place else "No `place`: it is everywhere.", "")
    if kind.parameters:
        yield from ("| parameter | default | allowed | unit | meaning |", "|---|---|---|---|---|")
        for key, p in kind.parameters.items():
            yield f"| `{key}` | {p.default:g} | {p.low:g} to {p.high:g} | {p.unit} | {p.meaning} |"
        yield ""
    if kind.sights:
        seen = (
            f"{s.quantity} by {100 * s.change:+g} %" if s.share else f"{s.quantity} by {s.change:+g}"
            for s in kind.sights
        )
        yield from (f"Physically visible when a true value has moved since the beginning: {', or '.join(seen)}.", "")
    if name in SHOWS:
        yield from (_scored(name), "")


def _scored(kind: str) -> str:
    """What `lifeline score` calls right of a kind."""
    causes = " or ".join(f"`{cause}`" for cause in sorted(CAUSES[kind]))
    worst, mildest = LEVELS.get(kind, (None, None))
    level = f"worst level {worst.slug} to {mildest.slug}" if worst and mildest else "at any level"
    return f"Scored: alerts on {', '.join(sorted(SHOWS[kind]))}; taken for {causes}; {level}."


def _shipped() -> Iterator[str]:
    for name in shipped():
        scenario = load_scenario(name)
        yield from (f"### `{name}`", "", scenario.title + (f". {scenario.about}" if scenario.about else ""), "")
        if scenario.cycle_s:
            yield from (f"Again every {scenario.cycle_s:g} s, at other places.", "")
        if scenario.events:
            yield from ("| after | lasts | event | where | with |", "|---|---|---|---|---|")
            yield from map(_row, scenario.events)
            yield ""


def _row(event: EventSpec) -> str:
    parameters = KINDS[event.kind].parameters
    own = [f"{key} {value:g}" for key, value in event.parameters.items() if value != parameters[key].default]
    own += ["harmless"] if event.harmless else []
    own += [f"because of `{event.after}`"] if event.after else []
    where = f"near `{event.near}`" if event.near else event.place if KINDS[event.kind].place else "everywhere"
    return f"| {event.at_s:g} s | {event.lasts_s:g} s | `{event.kind}` | {where} | {', '.join(own) or '-'} |"
