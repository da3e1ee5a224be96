"""What is shipped: the packages that are declared, and a wheel in an environment of its base dependencies alone."""

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from superlink.packages import PACKAGES
from tests.gguf_core import write_core
from tools.weights import weights

ROOT = Path(__file__).resolve().parents[1]
OURS = ("superlink", *PACKAGES)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# What is imported at once, not when first used, where a file is of no use without an extra.
NEEDED = {
    "backbone/world": "world",
    "backbone/training/planner.py": "train",
    "backbone/training/specialists.py": "train",
    "ui": "ui",
    "api": "api",
    "agents/session/serving.py": "ui",
    "flows/orchestration/artifacts.py": "prefect",
    "flows/orchestration/flow.py": "prefect",
    "flows/orchestration/shards.py": "prefect",
    "flows/orchestration/deployments.py": "prefect",
    "flows/orchestration/worker.py": "prefect",
    "flows/orchestration/setup.py": "prefect",
    "flows/workers/ray.py": "ray",
    "tools/core/serving.py": "api",
    "tools/weights/tfjs": "photos",
}


# ---- what is imported is declared ------------------------------------------------------------------------------


def declared(requirements: Iterable[str]) -> set[str]:
    """Names of the distributions, with those of superlink's own extras that are named."""
    found = set()
    for one in map(Requirement, requirements):
        if one.name == "superlink":
            found |= set().union(*(declared(EXTRAS[extra]) for extra in one.extras))
        else:
            found.add(canonicalize_name(one.name))
    return found


BASE = declared(PROJECT["dependencies"])


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Yield each package of others that a file imports, and whether that happens as soon as the file is imported."""

    def walk(node: ast.AST, at_once: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            names = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom) and child.level == 0:
                names = [child.module or ""]
            for name in (name.partition(".")[0] for name in names):
                place = ROOT / "benchmarks" / name
                beside = name == "benchmarks" or place.with_suffix(".py").exists() or place.is_dir()  # each other
                if name not in sys.stdlib_module_names and name not in (*OURS, "tests") and not beside:
                    yield name, at_once
            typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            lazy = typing or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, at_once and not lazy)

    yield from walk(ast.parse(file.read_text()), True)


# Of packages that no extra of "all" or "dev" installs.
DISTRIBUTIONS = {"llama_cpp": "llama-cpp-python"}


@cache
def installed() -> dict[str, set[str]]:
    """Importable packages, with the distributions that have files in them."""
    return {name: set(map(canonicalize_name, owners)) for name, owners in packages_distributions().items()}


def owners(package: str) -> set[str]:
    """Names of the distributions that carry an importable package; its own name where it is not installed."""
    return installed().get(package, {DISTRIBUTIONS.get(package, canonicalize_name(package))})


@pytest.mark.parametrize("folder", OURS)
def test_every_package_that_is_imported_is_declared(folder: str) -> None:
    extra = declared(one for requirements in EXTRAS.values() for one in requirements) - declared(EXTRAS["dev"])
    wrong = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        place = file.relative_to(ROOT).as_posix()
        own = next((declared(EXTRAS[name]) for start, name in NEEDED.items() if place.startswith(start)), set())
        for package, at_once in imports(file):
            if not owners(package) & (BASE | own | (set() if at_once else extra)):
                wrong.append(f"{place} imports {package}{' at once' if at_once else ''}")
    assert not wrong


def test_the_tests_import_what_development_installs() -> None:
    all_of_it = BASE | declared(EXTRAS["all"]) | declared(EXTRAS["dev"])
    all_of_it |= declared(EXTRAS["mutants"]) | declared(EXTRAS["llama"])
    files = [file for folder in ("tests", "benchmarks", "examples") for file in (ROOT / folder).rglob("*.py")]
    used = {(file.name, package) for file in files for package, _ in imports(file)}
    assert not [(name, package) for name, package in sorted(used) if not owners(package) & all_of_it]


def test_nothing_is_declared_in_vain() -> None:
    files = [file for folder in OURS for file in (ROOT / folder).rglob("*.py")]
    used = {owner for file in files for package, _ in imports(file) for owner in owners(package)}
    assert BASE - used == {"matplotlib"}  # for the font that it carries


def test_the_extra_all_is_all_of_them() -> None:
    assert declared(EXTRAS["all"]) == declared(
        one for name, each in EXTRAS.items() if name not in ("dev", "mutants", "llama") for one in each
    )


# ---- the wheel -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a clean copy of this checkout."""
    folder = tmp_path_factory.mktemp("build")
    for name in OURS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=folder, check=True, capture_output=True)
    [made] = (folder / "dist").glob("*.whl")
    return made


def test_the_wheel_is_under_the_licence_of_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert "License-Expression: Apache-2.0\n" in metadata
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    other = {
        source["bundled"]
        for entry in weights.catalogue().values()
        for source in entry.sources
        if "bundled" in source and entry.licence != "Apache-2.0"
    }
    assert other and not other & names
    assert not [name for name in names if Path(name).suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt")]
    data = {name for name in names if Path(name).suffix != ".py" and ".dist-info/" not in name}
    folders = (
        "backbone/training/phrasings",
        "backbone/weights/planner",
        "backbone/weights/retrieval",
        *(["backbone/weights/seeing"] if (ROOT / "backbone/weights/seeing").exists() else []),  # once trained
        "backbone/weights/world",
        "tools/weights",
        "flows/report/templates",
        *(str(folder.relative_to(ROOT)) for folder in (ROOT / "ui").rglob("*") if folder.is_dir()),
    )
    there = {
        file
        for folder in folders
        for file in (ROOT / folder).iterdir()
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert data == {file.relative_to(ROOT).as_posix() for file in there}


def closure(requirements: Iterable[str], found: dict[str, set[str]]) -> None:
    """Add to `found` all distributions that these requirements install here, with their own requirements."""
    for one in map(Requirement, requirements):
        name, asked = canonicalize_name(one.name), {"", *one.extras}
        if asked <= found.setdefault(name, set()):
            continue
        found[name] |= asked
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # of another system, mostly
            continue
        markers = {need: Requirement(need).marker for need in needs}
        closure(
            [
                need
                for need, marker in markers.items()
                if marker is None or any(marker.evaluate({"extra": extra}) for extra in found[name])
            ],
            found,
        )


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a virtual environment that has the wheel and its base dependencies only.

    These are not installed anew, which takes minutes and gigabytes: they are linked from the environment of the tests.
    """
    folder = tmp_path_factory.mktemp("clean")
    found: dict[str, set[str]] = {}
    closure(PROJECT["dependencies"], found)
    packages = folder / "packages"
    packages.mkdir()
    for name in found:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    venv.create(folder / "venv", symlinks=True)
    programs = folder / "venv" / "bin"
    done = run(
        folder,
        folder,
        sys.executable,
        "-m",
        "pip",
        "--python",
        programs / "python",
        "install",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        wheel,
    )
    assert done.returncode == 0, done.stderr
    site = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    (Path(site) / "packages.pth").write_text(str(packages))
    return programs


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of a person whose own files have the names of our packages."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in PACKAGES:
        (folder / f"{name}.py").write_text("raise SystemExit('not this one')")
    return folder


def run(folder: Path, home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    ours = ("PYTHON", "SUPERLINK_", "HF_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**environment, "SUPERLINK_HOME": str(home)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_a_core_that_does_not_fit_the_adapter_is_refused_with_the_base_alone(
    clean: Path, elsewhere: Path, tmp_path: Path
) -> None:
    write_core(tmp_path / "small.gguf", ["<|endoftext|>", *map(chr, range(33, 127)), "th"], ["t h"])
    home = tmp_path / "home"
    added = run(
        elsewhere,
        home,
        clean / "python",
        "-m",
        "superlink",
        "models",
        "add",
        "small",
        tmp_path / "small.gguf",
        "--role",
        "planner",
        "--licence",
        "CC0-1.0",
    )
    assert added.returncode == 0, added.stderr
    pulled = run(elsewhere, home, clean / "superlink", "models", "pull", "small")
    assert pulled.returncode == 1 and "small are no language core for the planner" in pulled.stderr
    assert "Traceback" not in pulled.stderr and not list((home / "planner").glob("*.safetensors"))


def test_a_request_is_planned_with_the_base_alone(clean: Path, elsewhere: Path, tmp_path: Path) -> None:
    from agents.planners.backbone import model_file
    from tools.core.errors import WeightsMissing
    from tools.core.settings import settings

    try:
        model_file()
    except WeightsMissing as error:
        pytest.skip(str(error))
    home = tmp_path / "home"
    home.mkdir()
    for name in ("planner", "weights"):
        (home / name).symlink_to(settings().home / name)
    planned = run(elsewhere, home, clean / "superlink", "plan", "blur the faces")
    assert planned.returncode == 0 and "Traceback" not in planned.stderr
    # The base has no detector of faces; that is said before anything runs.
    assert planned.stderr.startswith("Warning: s1 needs centerface") and planned.stderr.count("\n") == 1
    assert 'detect(labels=["face"])' in planned.stdout and "redact" in planned.stdout


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("world --n 1 --out w", "superlink[world]"),
        ("ui", "superlink[ui]"),
        ("serve-flows", "superlink[prefect]"),
        ("models pull world-detect", "SUPERLINK_MODELS"),
        ("plan x --planner openai:x", "superlink[chat]"),
    ],
)
def test_what_the_base_cannot_do_names_the_extra(
    clean: Path, elsewhere: Path, tmp_path: Path, command: str, hint: str
) -> None:
    done = run(elsewhere, tmp_path / "home", clean / "superlink", *command.split())
    assert done.returncode == 1 and hint in done.stderr and done.stderr.count("\n") == 1


def test_another_folder_of_our_names_changes_nothing(clean: Path, elsewhere: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(elsewhere), "SUPERLINK_HOME": str(tmp_path / "home")}
    done = subprocess.run([clean / "superlink", "tools"], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "redact" in done.stdout
