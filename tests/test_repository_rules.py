"""Rules that the repository keeps, whoever writes in it."""

import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
MOST_LINES = 400
LOCK_FILES = ("requirements.lock", "requirements-dev.lock")

# Older versions have published weaknesses in what this product uses of them.
SECURITY_FLOORS = {
    "authlib": "1.8.0",
    "joserfc": "1.7.3",
    "pyjwt": "2.13.0",
    "python-multipart": "0.0.27",
    "starlette": "0.49.1",
}

# A lock file or a configuration with a registry's address would bind everybody to the author's network.
REGISTRY = re.compile(
    r"https?://[^\s\"'<>]*(?:/simple\b|pypi|pythonhosted|registry\.|npmjs|proxy\.golang|artifactory|nexus)",
    re.IGNORECASE,
)
# A path of one machine works on one machine.
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:home/\w+|root|Users/\w+|work|workspace|mnt|build)/[\w.-]+")
LAZY_NAMES = {"utils", "helpers", "common", "misc", "manager", "core", "services"}


def tracked() -> Iterator[Path]:
    """Every text file that git knows or would be asked to know."""
    listed = subprocess.run(
        # Whoever owns the folder: this only reads the list of files.
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in path.read_bytes()[:4096]:
            yield path


FILES = sorted(tracked())
PYTHON = [path for path in FILES if path.suffix == ".py"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_a_python_file_has_one_subject_and_so_few_lines() -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PYTHON}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_module_is_named_after_what_it_is_not() -> None:
    assert [named(path) for path in PYTHON if path.stem in LAZY_NAMES] == []


def test_every_module_begins_with_a_sentence() -> None:
    silent = []
    for path in PYTHON:
        if path.name.startswith("test_"):
            continue  # their names are sentences already
        source = path.read_text(encoding="utf-8").lstrip()
        if source and not source.startswith(('"""', 'r"""', "#!")):
            silent.append(named(path))
    assert silent == []


@pytest.mark.threat("N100")
def test_no_file_names_a_registry() -> None:
    found = {
        named(path): match.group()
        for path in FILES
        if path != Path(__file__) and (match := REGISTRY.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


def test_no_file_names_a_path_of_one_machine() -> None:
    found = {
        named(path): match.group()
        for path in FILES
        if path != Path(__file__) and (match := MACHINE_PATH.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.threat("N100")
@pytest.mark.parametrize("name", LOCK_FILES)
def test_every_locked_package_has_hashes(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    entries = [entry for entry in source.replace("\\\n", " ").splitlines() if entry.strip()]
    assert len(entries) > 20
    for entry in entries:
        assert re.fullmatch(r"[a-z0-9._-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", entry), entry[:80]


@pytest.mark.threat("N100")
@pytest.mark.parametrize("name", LOCK_FILES)
def test_a_lock_file_has_no_address(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in source
    assert not re.search(r"^\s*(-i|-f|--index|--extra-index|--find-links|--trusted)", source, re.MULTILINE)


@pytest.mark.threat("N100")
@pytest.mark.parametrize("name", LOCK_FILES)
def test_locked_versions_are_not_below_the_security_floors(name: str) -> None:
    locked = locked_versions(name)
    for package, floor in SECURITY_FLOORS.items():
        assert Version(locked[package]) >= Version(floor), package


@pytest.mark.threat("N100")
def test_what_is_installed_is_not_below_the_security_floors() -> None:
    for package, floor in SECURITY_FLOORS.items():
        assert Version(importlib.metadata.version(package)) >= Version(floor), package


@pytest.mark.threat("N100")
def test_what_is_installed_is_what_is_locked() -> None:
    """Otherwise the tests would prove something about other code than what runs."""
    locked = locked_versions("requirements-dev.lock")
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"].lower().replace("_", "-")
        if name in locked:
            assert distribution.version == locked[name], name


def test_both_lock_files_agree() -> None:
    run, dev = (locked_versions(name) for name in LOCK_FILES)
    assert {name: dev.get(name) for name in run} == run


def locked_versions(name: str) -> dict[str, str]:
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([a-z0-9._-]+==[^\s;\\]+)", line):
            requirement = Requirement(match.group(1))
            (version,) = requirement.specifier
            found[requirement.name] = version.version
    return found


def test_every_direct_dependency_has_its_reason() -> None:
    """`docs/decisions/dependencies.md` has a line for each; a dependency without a reason is not added."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = (project["dependencies"], *project["optional-dependencies"].values())
    declared = {Requirement(line).name.lower() for group in groups for line in group}
    page = (ROOT / "docs" / "decisions" / "dependencies.md").read_text(encoding="utf-8")
    assert declared == set(re.findall(r"^\| `([a-z0-9-]+)`", page, re.MULTILINE))
