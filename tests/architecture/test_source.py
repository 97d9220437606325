"""How the source is built: where SQL is, how long functions are, what no file may name."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lifeline", "ingest", "alerts", "api", "simulators")
# Written in parts, or this file would name them.
HOSTS = [
    "py" + "pi.org", "pythonhosted" + ".org", "deb." + "debian.org", "security." + "debian.org", "npm" + "js.org",
    "npm" + "js.com", "jsdelivr" + ".net", "unpkg" + ".com", "cdn" + "js.",
]  # fmt: skip
FOLDERS = ["/" + "work/", "/" + "root/", "/" + "opt/pypi", "/" + "tmp/venv"]
SQL = re.compile(
    r"\s*(SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET|DELETE FROM\s|WITH\s+\w+\s+AS|"
    r"CREATE (TABLE|INDEX|ROLE)|ALTER (TABLE|ROLE)|COPY\s+\w+|LISTEN\s|NOTIFY\s|TRUNCATE\s|GRANT\s)"
)
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc", "base"}


def tracked() -> list[Path]:
    """Files of the project: what git tracks, or in an unpacked archive everything but what is made."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    made = {".venv", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.relative_to(ROOT).parts)]


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).glob("**/*.py"))]


@cache
def parsed(path: Path) -> ast.Module:
    """A file's tree; several tests look at each."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(paths: list[Path]) -> Iterator[tuple[int, str]]:
    """(lines, name) of every function, decorators left out."""
    for path in paths:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.name}"


def line_count(paths: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def statements(path: Path) -> Iterator[tuple[int, str]]:
    """Text constants that look like SQL; docstrings are not looked at."""
    tree = parsed(path)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in documentation else None
        if isinstance(text, str) and SQL.match(text):
            yield node.lineno, text[:60]


def test_sql_stands_in_storage_alone() -> None:
    outside = [path for path in sources(*PACKAGES) if "storage" not in path.parts]
    assert len(outside) > 20
    assert {f"{path.relative_to(ROOT)}:{line}": text for path in outside for line, text in statements(path)} == {}


def test_sql_files_stand_in_storage_alone() -> None:
    # bootstrap.sql is typed into a server that has no database yet.
    allowed = {"lifeline/storage", "lifeline/embedded/bootstrap.sql"}
    found = {str(path.relative_to(ROOT)) for path in tracked() if path.suffix == ".sql"}
    assert {name for name in found if not any(name.startswith(place) for place in allowed)} == set()


def words_of(path: Path) -> set[str]:
    """Text constants of a module; of a text with gaps the pieces between them."""
    tree = parsed(path)
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def test_every_statement_is_run_by_a_module_that_loads_its_file() -> None:
    users: dict[str, set[str]] = {}
    for path in sources("lifeline/storage"):
        for noun in re.findall(r'load(?:_statements)?\("(\w+)"\)', path.read_text(encoding="utf-8")):
            users.setdefault(noun, set()).update(words_of(path))
    composed = re.compile(r"known_(asset|zone)s|(asset|sensor|zone)_exists|sensors")  # named by what they are about
    unused = [
        f"{path.stem}: {name}"
        for path in sorted((ROOT / "lifeline" / "storage" / "sql").glob("*.sql"))
        for name in re.findall(r"^-- name: (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if name not in users.get(path.stem, set()) and not composed.fullmatch(name)
    ]
    assert len(users) > 40
    assert unused == []


def test_the_search_for_sql_finds_some(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text('"""SELECT in a docstring is no statement."""\nx = "SELECT 1"\ny = "a SELECT of words"\n')
    assert list(statements(file)) == [(2, "SELECT 1")]


@pytest.mark.parametrize("name", [*HOSTS, *FOLDERS])
def test_no_file_names_a_registry_or_a_folder_of_some_machine(name: str) -> None:
    needle = name.encode()
    assert [str(path.relative_to(ROOT)) for path in tracked() if needle in path.read_bytes()] == []


def test_nine_functions_in_ten_fit_a_screen_and_none_is_endless() -> None:
    lengths = sorted(functions(sources(*PACKAGES)))
    assert lengths[len(lengths) * 9 // 10][0] <= 37
    assert [name for length, name in lengths if length > 80] == []


def test_no_module_is_longer_than_450_lines() -> None:
    assert [str(path) for path in sources(*PACKAGES) if line_count([path]) > 450] == []


def test_tests_have_at_least_as_many_lines_as_the_source() -> None:
    source, tests = line_count(sources(*PACKAGES)), line_count(sources("tests"))
    assert tests >= source, f"{source} lines of source, {tests} of tests"


def test_no_module_has_a_vague_name() -> None:
    assert [str(path) for path in sources(*PACKAGES) if path.stem in VAGUE] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources(*PACKAGES)
        if path.read_text(encoding="utf-8").strip() and ast.get_docstring(parsed(path)) is None
    ]
    assert silent == []


def test_test_names_are_sentences() -> None:
    short = [
        f"{path.name}:{name}"
        for path in sources("tests")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if name.count("_") < 3
    ]
    assert short == []


def test_the_pinned_requirements_have_hashes_and_cover_what_pyproject_asks_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    files = {
        "requirements.txt": project["dependencies"],
        "requirements-simulators.txt": [*project["dependencies"], *project["optional-dependencies"]["simulators"]],
        "requirements-dev.txt": [*project["dependencies"], *project["optional-dependencies"]["dev"]],
    }
    for name, wanted in files.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        pinned = set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, re.MULTILINE))
        asked = {re.split(r"[\[><=]", each)[0].lower().replace("_", "-") for each in wanted}
        assert asked <= pinned, name
        assert text.count("==") <= text.count("--hash=sha256:")


def test_every_advisory_lock_has_a_number_of_its_own() -> None:
    """Two that share one wait for each other for ever: recording the map once kept alerts from ticking."""
    found = [
        (number, f"{path.relative_to(ROOT)}:{name}")
        for path in sources(*PACKAGES)
        for name, number in re.findall(r"^(\w*LOCK\w*)(?:: \w+)? = (5_461_\w+)", path.read_text(encoding="utf-8"), re.M)
    ]
    assert len(found) >= 5
    numbers = [number for number, _ in found]
    assert [each for each in found if numbers.count(each[0]) > 1] == []
