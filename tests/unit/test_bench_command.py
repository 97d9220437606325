"""`python -m tests.benchmarks`: what it runs, and what it says to wrong words."""

import importlib

import pytest

from tests.benchmarks.__main__ import known, main


def test_help_names_every_benchmark_with_examples_and_runs_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    told = capsys.readouterr().out
    assert end.value.code == 0
    assert all(name in told for name in ("ingest", "broker_durability", "map_at_scale"))
    assert 'make bench ARGS="history --long"' in told


@pytest.mark.parametrize("words", [["ingset"], ["ingest", "--longer"]])
def test_a_wrong_word_is_named_and_nothing_runs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert words[-1] in capsys.readouterr().err


def test_what_is_known_measures_and_what_only_helps_is_not_known() -> None:
    assert {"ingest", "detection", "tick", "page"} <= set(known())
    assert not {"report", "scratch", "__main__"} & set(known())


@pytest.mark.parametrize(("verdict", "status"), [(True, 0), (None, 0), (False, 1)])
def test_a_missed_limit_is_status_one(verdict: bool | None, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    for name in ("ingest", "tick"):
        module = importlib.import_module(f"tests.benchmarks.{name}")
        monkeypatch.setattr(module, "main", lambda name=name: ran.append(name) or verdict)
    assert main(["tick", "ingest", "--long"]) == status
    assert ran == ["tick", "ingest"]
