"""Matchers of Prometheus Alertmanager: ``name="value"``, ``!=``, ``=~`` and ``!~`` on an alert's labels.

Expressions are matched whole and by RE2, as there: its time grows with the text alone, whatever somebody asks for.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_FORM = re.compile(
    r'\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*|"(?:[^"\\]|\\.)+")\s*(?P<sign>=~|!~|!=|=)\s*(?P<value>.*?)\s*', re.DOTALL
)


class Matcher(NamedTuple):
    """One condition. A label that an alert lacks is empty, as with Alertmanager."""

    name: str
    sign: str
    value: str

    def keeps(self, labels: Sequence[Mapping[str, str]]) -> list[bool]:
        """Which of these alerts meet it."""
        values = [each.get(self.name, "") for each in labels]
        if self.sign in ("=", "!="):
            return [(value == self.value) == (self.sign == "=") for value in values]
        import pyarrow as pa  # it takes 0.1 s, and expressions are rare
        import pyarrow.compute as pc

        found = pc.match_substring_regex(pa.array(values, pa.string()), f"^(?s:{self.value})$").to_pylist()
        return [hit == (self.sign == "=~") for hit in found]


def parse(text: str) -> Matcher:
    """A matcher as amtool and Grafana send it, its value with or without quotation marks. Raises ValueError."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f'{text!r} is no matcher such as level="red" or rule=~"methane.*"')
    found = Matcher(_plain(form["name"]), form["sign"], _plain(form["value"]))
    found.keeps([{}])  # an expression that RE2 does not know is told here
    return found


def _plain(text: str) -> str:
    """Without its quotation marks; escapes are those of Go, of which JSON's are the ones that clients send."""
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        value = None
    if not isinstance(value, str):
        raise ValueError(f"{text} is no text in quotation marks")
    return value
