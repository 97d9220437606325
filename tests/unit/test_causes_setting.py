"""The file of causes is a setting: what it says is used, and a mistake in it is named with the file."""

from pathlib import Path

import pytest

from alerts.causes import load_causes, shipped_causes
from alerts.tick import Watch
from lifeline.catalogue import shipped_catalogue
from lifeline.errors import CatalogueError
from lifeline.settings import load_settings


def test_without_the_setting_the_shipped_causes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIFELINE_ALERTS_CAUSES", raising=False)
    settings = load_settings()
    assert settings.alerts_causes is None
    assert load_causes(settings.alerts_causes) == list(shipped_causes())


def test_the_file_that_the_setting_names_replaces_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "causes.toml"
    path.write_text("", encoding="utf-8")
    monkeypatch.setenv("LIFELINE_ALERTS_CAUSES", str(path))
    causes = load_causes(load_settings().alerts_causes)
    assert causes == []
    watch = Watch([], shipped_catalogue(), 3600.0, causes)
    assert watch.bytes >= 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[cause", "not TOML"),
        ("cause = 5", "causes stand under"),
        ("[[cause]]\nid = 'x'", "cause 'x'"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "causes.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogueError, match=said) as refused:
        load_causes(path)
    assert "causes.toml" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="none"):
        load_causes(tmp_path / "none.toml")
