"""The house rules: who imports whom, what importing costs, whose names are whose."""

import ast
import importlib
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

from superlink.packages import PACKAGES
from tests.waiting import WAIT

ROOT = Path(__file__).resolve().parents[1]
OURS = (*PACKAGES, "superlink")


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=WAIT)


def test_imports_run_downward() -> None:
    done = subprocess.run(
        ["lint-imports"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=WAIT,
        env={"PATH": str(Path(sys.executable).parent)},
    )
    assert done.returncode == 0, done.stdout


def test_importing_tools_is_light() -> None:
    done = run_python(
        "import sys, tools, tools.runtime.registry; tools.runtime.registry.load(entry_points=False)\n"
        "import superlink.cli\n"
        "heavy = {'torch', 'cv2', 'onnxruntime', 'transformers', 'ultralytics', 'diffusers', 'whisper', 'gradio',\n"
        "         'prefect'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


QUIET = """
import socket, sys
def refuse(*a, **k): raise SystemExit(f'network: {a}')
socket.socket.connect = refuse; socket.getaddrinfo = refuse; socket.create_connection = refuse
"""


def test_nothing_reaches_the_network_at_import() -> None:
    modules = [
        "tools",
        "tools.runtime.registry",
        "agents.session.session",
        "agents.planners.backbone",
        "backbone.planner.model",
        "superlink.cli",
        "ui.page",
    ]
    done = run_python(QUIET + "".join(f"print({name!r}); import {name}\n" for name in modules) + "print('quiet')")
    assert done.stdout.split() == [*modules, "quiet"], done.stdout + done.stderr


def test_nothing_reaches_the_network_at_start() -> None:
    done = run_python(
        QUIET + "from superlink.cli import main; main(['tools']); main(['models', 'list']); print('quiet')"
    )
    assert done.stdout.strip().endswith("quiet"), done.stdout + done.stderr


def test_our_packages_are_ours() -> None:
    for name in OURS:
        origin = importlib.import_module(name).__file__
        assert origin and Path(origin).resolve().parent.parent == ROOT


def test_no_installed_distribution_claims_our_names() -> None:
    claims = {
        (found.name, str(file).split("/")[0])
        for found in distributions()
        if found.name != "superlink"
        for file in found.files or ()
        if str(file).split("/")[0] in OURS
    }
    assert not claims


SCRIPT = """
from superlink import Detections, Image, Session, Video, annotate, load_tools, tool
import superlink

@tool
def widen(image: Image) -> Image:
    \"\"\"Make an image twice as wide.\"\"\"
    return Image.from_pil(image.pil.resize((image.width * 2, image.height)))

made = widen(Image.from_pil(__import__("PIL.Image").Image.new("RGB", (4, 3))))
assert made.width == 8 and len(load_tools()) >= 16
assert all(getattr(superlink, name) is not None for name in superlink.__all__)
print("right")
"""


def test_a_file_of_our_names_changes_nothing(tmp_path: Path) -> None:
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported in the place of ours')")
    (tmp_path / "mine.py").write_text(SCRIPT)
    environment = {"PYTHONPATH": str(ROOT), "SUPERLINK_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "mine.py"], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120
    )
    assert done.stdout == "right\n", done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "superlink", "tools"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        timeout=120,
    )
    assert "redact" in listed.stdout, listed.stderr


def test_a_module_that_was_there_before_is_reported(tmp_path: Path) -> None:
    (tmp_path / "tools.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import tools; import superlink"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert f"the module 'tools' of {tmp_path / 'tools.py'} was imported before superlink" in done.stderr


def test_the_public_face_is_light() -> None:
    done = run_python(
        "import sys, superlink; from superlink import tool, Image\n"
        "print(sorted({'torch', 'cv2', 'langgraph', 'transformers', 'pydantic_ai'} & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_architecture_names_what_there_is() -> None:
    """Every path in ARCHITECTURE.md exists; a drifting map is worse than none."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    folders = re.findall(r"^(\w+/)", text, re.MULTILINE)
    assert folders and all((ROOT / folder).is_dir() for folder in folders)
    for row in re.findall(r"^\| (`.+?) \|", text, re.MULTILINE):
        base = ""
        for path in re.findall(r"`([^`]+)`", row):
            if "<" in path:
                continue
            base = path.rstrip("/").rsplit("/", 1)[0] if "/" in path.rstrip("/") else base
            assert (ROOT / path).exists() or (ROOT / base / path).exists(), path


def test_no_model_is_fetched_or_brings_code_of_its_own() -> None:
    """Every `from_pretrained` says so by itself: the libraries' defaults ask the network, or the terminal."""
    calls = 0
    for package in OURS:
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("from_pretrained", "from_config"):
                    said = {key.arg: ast.unparse(key.value) for key in node.keywords}
                    wanted = {"local_files_only": "True", "trust_remote_code": "False"}
                    assert wanted.items() <= said.items(), f"{file}:{node.lineno}"
                    calls += 1
    assert calls > 5


SQL = re.compile(
    r"\b(SELECT\b.*\bFROM|INSERT(\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|PRAGMA)\b",
    re.DOTALL,
)


def sql_in(source: str) -> set[int]:
    """Numbers of the lines with text that is a statement of SQL; what an f-string fills in counts as a word."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        texts = node.values if isinstance(node, ast.JoinedStr) else [node]
        text = "".join(
            str(part.value) if isinstance(part, ast.Constant) else "x"
            for part in texts
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
        if SQL.search(text):
            found.add(node.lineno)
    return found


def test_sql_is_seen() -> None:
    for sql in (
        "SELECT * FROM {t}",
        "INSERT OR IGNORE INTO {t} VALUES (1)",
        "UPDATE {t} SET state = ''",
        "DELETE FROM {t}",
    ):
        assert sql_in(f'db.execute("{sql}")') == sql_in(f'db.execute(f"{sql}")') == {1}
    assert not sql_in('say("Select a file from the list, insert it into another and update it")')


def test_the_ledger_alone_has_its_sql() -> None:
    """Its tables can be changed in one place. Benchmarks go through its methods, too. The page's own are in two."""
    of_page = {*(ROOT / "ui" / "access").glob("*.py"), ROOT / "ui" / "turns" / "catalogue.py"}
    for file in (
        file for package in ("flows", "superlink", "ui", "benchmarks") for file in (ROOT / package).rglob("*.py")
    ):
        source = file.read_text(encoding="utf-8")
        if file.parent == ROOT / "flows" / "ledger":
            continue
        reached = [
            node.lineno
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Attribute) and node.attr in ("db", "_db")
        ]
        of_others = file.parent.name == "benchmarks" or file in of_page  # such as the memory of threads
        assert not reached and (of_others or not sql_in(source)), f"{file}: {reached or sql_in(source)}"
