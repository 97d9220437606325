"""Advisory locks: two purposes never share a key, or one would wait for the other for ever."""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEY = re.compile(r"\b5_?461_?433_?\d{3}\b")


def test_every_purpose_has_a_lock_of_its_own() -> None:
    places: dict[int, set[str]] = defaultdict(set)
    for package in ("lifeline", "ingest", "alerts", "api", "simulators"):
        for path in [*(ROOT / package).glob("**/*.py"), *(ROOT / package).glob("**/*.sql")]:
            for key in KEY.findall(path.read_text(encoding="utf-8")):
                places[int(key.replace("_", ""))].add(str(path.relative_to(ROOT)))
    assert len(places) >= 6
    assert {key: sorted(where) for key, where in places.items() if len(where) > 1} == {}
