"""The page's words, modules and style hold together: there is no tool chain that would say so."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from alerts.detectors.blockage import Cause
from lifeline.exchange.mapping import WORDS

WEB = Path(__file__).resolve().parents[2] / "web"
MODULES = sorted(WEB.glob("*.js"))
ENTRY = re.compile(r'(\w+): "((?:[^"\\]|\\.)*)"')
LONGEST = 450
DETECTORS = WEB.parent / "alerts/detectors"
"""The server's sources that name what the page has words for, by the family of the words."""
NAMED_VALUES = {"material", "soil", "beat", "ev", "expected_by", "fault", "cause"}


def words(language: str) -> dict[str, str]:
    return dict(ENTRY.findall((WEB / "words" / f"{language}.js").read_text(encoding="utf-8")))


def test_chinese_and_english_have_the_same_words() -> None:
    chinese, english = words("zh"), words("en")
    assert len(english) > 200
    assert set(chinese) ^ set(english) == set()
    assert [key for key, text in (chinese | english).items() if not text.strip()] == []


def test_both_languages_fill_in_the_same_names() -> None:
    english = words("en")
    differ = {
        key: text
        for key, text in words("zh").items()
        if set(re.findall(r"\{(\w+)\}", text)) != set(re.findall(r"\{(\w+)\}", english[key]))
    }
    assert differ == {}


def test_every_word_that_a_module_asks_for_is_there() -> None:
    english = set(words("en"))
    asked = {key for path in MODULES for key in re.findall(r'\bt\("(\w+)"', path.read_text(encoding="utf-8"))}
    assert len(asked) > 100
    assert asked - english == set()


def test_every_word_is_asked_for_by_name_or_by_its_family() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    families = set(re.findall(r"`(\w+_)\$\{", source)) | {f"{name}_" for name in NAMED_VALUES}
    suffixes = set(re.findall(r"\$\{\w+\}(_\w+)`", source))
    kinds = {"pipe", "junction", "valve", "chamber", "pump", "tank", "regulator", "outfall", "storage", "gate"}
    told = {
        # Actions of an alert's and an incident's history, and quality marks, as the API names them.
        "raised", "escalated", "deescalated", "raised_again", "grown", "explained", "absorbed", "merged", "muted",
        "assigned", "backlog", "implausible",
    }  # fmt: skip
    unused = [
        key
        for key in words("en")
        if f'"{key}"' not in source
        and not re.search(rf"\b{key}\b", source)
        and not key.startswith(tuple(families))
        and not key.endswith(tuple(suffixes))
        and key not in kinds | told
    ]
    assert unused == []


def test_the_audit_has_words_for_every_table_that_is_audited() -> None:
    migrations = (WEB.parent / "lifeline/storage/migrations").glob("*.sql")
    audited = {
        table
        for path in migrations
        for table in re.findall(r"CREATE TRIGGER \w+_audit AFTER [^;]*? ON (\w+)\s", path.read_text(encoding="utf-8"))
    }
    assert len(audited) > 20
    (listed,) = re.findall(r"const WHAT = \[([^\]]*)\]", (WEB / "audit.js").read_text(encoding="utf-8"))
    assert set(re.findall(r'"(\w+)"', listed)) == audited
    assert {f"table_{table}" for table in audited} <= set(words("en"))


def family(name: str) -> set[str]:
    return {key.removeprefix(f"{name}_") for key in words("zh") if key.startswith(f"{name}_")}


def slug(value: str) -> str:
    """As web/i18n.js makes a key of what the server writes."""
    return re.sub(r"\W+", "_", value.lower(), flags=re.ASCII)


def test_every_material_and_soil_that_the_inventory_may_name_has_words() -> None:
    known = tomllib.loads((WEB.parent / "lifeline/risk/deterioration.toml").read_text(encoding="utf-8"))
    assert set(known["class"]) | set(WORDS["material"].values()) <= family("material")
    assert set(known["soil"]) - {"source"} <= family("soil")


def test_every_figure_that_a_detector_gives_as_evidence_has_a_name() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in DETECTORS.glob("*.py"))
    figures = set(re.findall(r'"(\w+)": (?:-?number|_number|int|bool|round|float)\(', source))
    assert len(figures) > 20
    inside = {"value", "expected", "share", "sigma", "rise", "nights", "vote", "leak_probability", "peak", "limit"}
    assert figures - inside <= family("ev")


def test_what_a_detector_says_in_words_is_said_in_both_languages() -> None:
    drains = (DETECTORS / "drains.py").read_text(encoding="utf-8")
    faults = {each for line in re.findall(r'fault(?:"?: | = )(.+)', drains) for each in re.findall(r'"([^"]+)"', line)}
    assert {slug(each) for each in faults} == family("fault")
    source = "".join(path.read_text(encoding="utf-8") for path in DETECTORS.glob("*.py"))
    bases = {each for line in re.findall(r'"expected_by": (.+),', source) for each in re.findall(r'"([^"]+)"', line)}
    assert {slug(each) for each in bases} == family("expected_by")
    assert {each.name.lower() for each in Cause} <= family("cause")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_says_what_it_is_for_and_is_not_endless(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= LONGEST


def test_styles_are_not_endless_and_no_page_has_any_inline() -> None:
    assert [path.name for path in WEB.glob("style/*.css") if len(path.read_text().splitlines()) > LONGEST] == []
    for page in WEB.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)|https?://", text), page.name


def test_no_module_reads_text_as_html_or_names_another_host() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
        hosts = set(re.findall(r"https?://[^\s\"'`]+", text)) - {"http://www.w3.org/2000/svg"}
        assert hosts == set(), path.name


def test_every_import_of_a_module_leads_to_a_file() -> None:
    for path in MODULES:
        for name in re.findall(
            r'(?:\} from |^import \w+ from |as \w+ from |import\()"([^"]+)"', path.read_text(encoding="utf-8")
        ):
            there = WEB / name.lstrip("/") if name.startswith("/") else path.parent / name
            assert there.is_file(), f"{path.name} imports {name}"


def modules_from(name: str) -> set[str]:
    """A module and what it imports at once, by its path on the server; not what it loads later."""
    found, waiting = set(), [f"/{name}"]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if not path.startswith("/vendor/"):
            here = WEB / path.lstrip("/")
            for each in re.findall(
                r'^import (?:[^"]*? from )?"([^"]+)"', here.read_text(encoding="utf-8"), re.MULTILINE
            ):
                there = each if each.startswith("/") else f"/{(here.parent / each).resolve().relative_to(WEB)}"
                waiting.append(there)
    return found


def test_the_page_asks_at_once_for_every_module_that_it_starts_with() -> None:
    """One round of requests and not one for each floor of imports; and what comes later is not asked for."""
    text = (WEB / "index.html").read_text(encoding="utf-8")
    preloaded = set(re.findall(r'rel="modulepreload" href="([^"]+)"', text))
    started = set(re.findall(r'<script type="module" src="([^"]+)"', text))
    assert started == {"/first.js", "/main.js"}
    assert preloaded | started == modules_from("main.js") | modules_from("first.js")
    assert len(preloaded) > 20


def test_the_map_stands_before_the_library_of_charts_is_read() -> None:
    charts = "/vendor/uplot/uPlot.esm.js"
    assert charts not in modules_from("main.js")
    assert charts in modules_from("chart.js")


def test_the_first_answers_are_asked_for_before_the_map_s_library_is_read() -> None:
    assert modules_from("first.js") == {"/first.js", "/api.js"}
    assert (WEB / "index.html").read_text(encoding="utf-8").index('src="/first.js" async') < 500


def test_exported_functions_say_what_they_do() -> None:
    silent = [
        f"{path.name}:{name}"
        for path in MODULES
        for before, name in re.findall(r"([^\n]*)\nexport (?:async )?function (\w+)", path.read_text(encoding="utf-8"))
        if not before.rstrip().endswith("*/")
    ]
    assert silent == []


def test_the_modules_are_javascript() -> None:
    """Read by one Node as modules, and not run."""
    node = Path(sys.executable).with_name("node")
    program = """
        const { SourceTextModule } = require("vm"), { readFileSync } = require("fs")
        for (const path of process.argv.slice(1)) new SourceTextModule(readFileSync(path, "utf8"), { identifier: path })
    """
    done = subprocess.run(
        [node, "--experimental-vm-modules", "--no-warnings", "-e", program, *MODULES], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
