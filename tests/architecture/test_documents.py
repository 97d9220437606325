"""What a newcomer reads and types: links lead somewhere, and commands in the documents are commands that there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer._click import ClickException, Context

from lifeline.cli import app
from tests.architecture.test_source import ROOT, tracked

PAGES = sorted(path for path in tracked() if path.suffix == ".md")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = {"simulators/scenarios.md": "docs/reference"}
"""Where a text stands that a generated page begins with."""


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings and marked places are found."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def typed() -> Iterator[tuple[str, list[str]]]:
    """Where a command of ours stands in a block, and its words."""
    for page in PAGES:
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    if match := re.match(r"(?:docker compose run --rm \w+ )?(lifeline [a-z].*)", part.strip()):
                        words = shlex.split(match[1], comments=True)[1:]
                        yield f"{page.relative_to(ROOT)}: {part.strip()}", words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    folder = ROOT / ELSEWHERE.get(str(page.relative_to(ROOT)), page.parent)
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"https?:|mailto:", link):
            continue
        name, _, heading = link.partition("#")
        there = (folder / name).resolve() if name else page
        assert there.exists(), f"{page.relative_to(ROOT)} links to {link}"
        assert not heading or there.suffix != ".md" or heading in anchors(there), link


def test_every_command_in_the_documents_is_one_with_options_that_it_has() -> None:
    wrong = []
    found = list(typed())
    for place, words in found:
        context, command = Context(typer.main.get_command(app), info_name="lifeline"), typer.main.get_command(app)
        try:
            while hasattr(command, "commands"):
                name = words.pop(0)
                command = command.commands[name]
                context = Context(command, info_name=name, parent=context)
            command.make_context(command.name or "", words, parent=context.parent)
        except (ClickException, KeyError, IndexError) as error:
            if "does not exist" not in str(error):  # a file of the reader's
                wrong.append(f"{place}: {error}")
    assert len(found) > 40
    assert wrong == []
