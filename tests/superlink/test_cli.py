"""The command line on real files, with the real planner and real tools."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageDraw, ImageFont

from superlink.cli import _parser, main
from tests.waiting import WAIT
from tools.core.errors import WeightsMissing
from tools.core.settings import settings
from tools.runtime.model_cache import evict_idle
from tools.weights import weights
from tools.weights.catalogue import catalogue

PLAN = {
    "request": "hide the faces",
    "outputs": ["$s2"],
    "steps": [
        {"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": ["face"]}},
        {"id": "s2", "tool": "redact", "args": {"image": "$image", "regions": "$s1"}},
    ],
}


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(PLAN))
    return file


@pytest.fixture
def astronaut(tmp_path: Path) -> Path:
    data = pytest.importorskip("skimage.data")
    file = tmp_path / "astronaut.png"
    Pil.fromarray(data.astronaut()).save(file)
    return file


@pytest.fixture
def real_planner_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own that has the pulled weights of the real one."""
    from agents.planners.backbone import model_file

    try:
        model_file()
    except WeightsMissing as error:
        pytest.skip(str(error))
    real = settings().home
    home = tmp_path / "home"
    home.mkdir()
    for name in ("planner", "weights"):
        if (real / name).exists():
            (home / name).symlink_to(real / name)
    monkeypatch.setenv("SUPERLINK_HOME", str(home))
    settings.cache_clear()


def sign(folder: Path, words: str = "OPEN DAILY") -> Path:
    picture = Pil.new("RGB", (640, 240), (250, 248, 240))
    ImageDraw.Draw(picture).text((40, 70), words, fill=(20, 30, 60), font=ImageFont.load_default(84))
    file = folder / "sign.png"
    picture.save(file)
    return file


def test_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "superlink", "--help"], capture_output=True, text=True, timeout=WAIT
    )
    assert done.returncode == 0 and "superlink run" in done.stdout
    assert not {"numpy", "pydantic", "torch", "rich"} & {
        line.split("|")[-1].strip() for line in done.stderr.splitlines()
    }


def test_a_given_plan_runs_on_a_photograph(home: Path, plan_file: Path, astronaut: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["run", "hide the faces", str(astronaut), "--plan", str(plan_file), "--yes", "--out", str(out)]) == 0
    record = json.loads((out / "record.json").read_text())
    assert record["plan"]["steps"] == PLAN["steps"]
    provenance = record["steps"][0]["refs"]["provenance"]
    assert provenance["tool"] == "detect" and provenance["weights"][0]["id"] == "centerface"
    (file,) = record["files"]["s2"]
    before, after = (np.asarray(Pil.open(path).convert("RGB")).astype(int) for path in (astronaut, out / file))
    changed = np.abs(before - after).max(axis=2) > 8
    rows, columns = np.where(changed)
    # The astronaut's face, and nothing but it.
    assert changed[80:170, 180:260].mean() > 0.5 and rows.max() < 260 and columns.min() > 120 and columns.max() < 320


def test_words_to_results(real_planner_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["run", "read the sign", str(sign(tmp_path)), "--yes", "--out", str(out)]) == 0
    assert "OPEN" in capsys.readouterr().out
    names = {file.name for file in out.iterdir()}
    assert {"record.json", "s1_read_text.json", "s1_read_text.txt", "s1_read_text.png"} <= names
    assert "OPEN" in (out / "s1_read_text.txt").read_text()


def test_several_files_and_one_that_is_damaged(
    home: Path, plan_file: Path, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    out = tmp_path / "out"
    files = [str(astronaut), str(damaged), str(sign(tmp_path))]
    assert main(["run", "hide the faces", *files, "--plan", str(plan_file), "--yes", "--out", str(out)]) == 1
    output = capsys.readouterr().out
    assert "damaged.jpg" in output and "1 of 3 failed" in output
    assert (out / "astronaut" / "record.json").exists() and (out / "sign" / "record.json").exists()


def test_a_plan_that_makes_pictures_is_not_run_unasked(
    home: Path, plan_file: Path, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "hide", str(astronaut), "--plan", str(plan_file), "--out", str(tmp_path / "out")]) == 1
    assert "--yes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"id": "s1", "tool": "detct", "args": {}}, "detect"),
        ({"id": "s1", "tool": "detect", "args": {"image": "$image", "labels": 5}}, "labels"),
        ({"id": "s1", "tool": "count", "args": {"regions": "$s9"}}, "s9"),
    ],
)
def test_a_faulty_plan_is_refused(
    home: Path, astronaut: Path, tmp_path: Path, step: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"request": "x", "steps": [step], "outputs": []}))
    assert main(["run", "x", str(astronaut), "--plan", str(file), "--yes", "--out", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert said in out and out.count("s1.") + out.count("s1:") == 1  # not once as an event, and again in the answer
    assert not (tmp_path / "out").exists()


def test_missing_weights_are_named(
    home: Path, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"request": "x", "steps": [{"id": "s1", "tool": "pose", "args": {"image": "$image"}}]}))
    assert main(["run", "x", str(astronaut), "--plan", str(file), "--yes", "--out", str(tmp_path / "out")]) == 1
    assert "superlink models pull yolo26n-pose" in capsys.readouterr().out.replace("\n", " ")


def test_without_the_core_the_planner_says_what_to_pull(
    home: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evict_idle()
    assert main(["run", "blur the faces", str(astronaut), "--yes"]) == 1
    assert "superlink models pull smollm2-135m" in capsys.readouterr().err


def test_plans_for_a_file_of_requests(real_planner_home: None, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "request": "box every dog", "media": ["image"]},
        {"id": "b", "request": "thank you so much", "media": ["image"]},
        {"id": "c", "request": "blur the faces", "media": []},
    ]
    source, answers = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    status = main(["plan", "--requests", str(source), "--out", str(answers)])
    a, b, c = (json.loads(line) for line in answers.read_text().splitlines())
    assert a["id"] == "a" and a["steps"] == [{"tool": "detect", "args": {"image": "$image", "labels": ["dog"]}}]
    assert b["steps"] == []
    assert status == 1 and any("image" in problem.lower() for problem in c["problems"])


def test_a_bad_requests_file_is_named(
    real_planner_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("not json\n")
    assert main(["plan", "--requests", str(source)]) == 1
    assert "in.jsonl, line 1" in capsys.readouterr().err


def test_the_starter_set_is_shown_fetched_and_chosen(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pulled: list[str] = []
    monkeypatch.setattr("tools.weights.weights.pull", lambda name, *_: pulled.append(name) or Path(name))
    monkeypatch.setattr("agents.planners.backbone.model_file", lambda name: Path(name))
    home.mkdir()
    (home / "settings.toml").write_text('# mine\ndevice = "cpu"\n[roles]\nspeak = "espeak-ng"\n')
    assert main(["models", "pull", "starter"]) == 1  # nobody can be asked
    shown = capsys.readouterr()
    assert "--yes" in shown.err and not pulled
    table = ("nanodet", "movenet-thunder", "kokoro-82m", "Apache-2.0", "GPL-3.0-or-later", "Packages of")
    assert all(words in shown.out for words in table)
    assert main(["models", "pull", "starter", "--yes"]) == 0
    assert {"nanodet", "selfie-segmentation", "whisper-tiny-en", "kokoro-82m", "espeak-ng"} <= set(pulled)
    assert len(pulled) == len(set(pulled))
    shown = capsys.readouterr()
    assert all(words in shown.out for words in (*table, "speak stays with espeak-ng"))
    assert (home / "settings.toml").read_text().startswith('# mine\ndevice = "cpu"\nweights = "starter"\n')
    assert settings().role("detect") == "nanodet" and settings().role("speak") == "espeak-ng"


def test_weights_are_pulled_with_those_that_they_need(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulled: list[str] = []
    monkeypatch.setattr("tools.weights.weights.pull", lambda name, *_: pulled.append(name) or Path(name))
    assert main(["models", "pull", "kokoro-82m"]) == 0
    assert pulled == ["kokoro-82m", "espeak-ng", "kokoro-af-heart"]


def test_models_list_and_pull_say_what_weights_take(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it is an error
    monkeypatch.setattr("tools.weights.requirements.main_memory", lambda: 5_300_000_000)
    monkeypatch.setattr("tools.weights.requirements.has_gpu", lambda: False)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80

    def row(start: str) -> list[str]:
        return next(line for line in lines if line.startswith(f" {start}")).split()

    assert row("sd-turbo")[2:5] == ["about", "2.6", "GB"] and row("sd-turbo")[-2:] == ["no", "slow"]
    assert not set(catalogue()) - {line.split()[0] for line in lines if line.strip()}  # none is wrapped
    assert row("stable-diffusio")[-2:] == ["no", "no"]
    assert row("smolvlm-256m")[-1] == "no" and row("centerface")[-1] == "yes"
    assert row("yolo26n-pose")[2:4] == ["size", "unknown"]
    monkeypatch.setattr("tools.weights.weights.pull", lambda name, *_: Path(name))
    assert main(["models", "pull", "instruct-pix2pix", "centerface"]) == 0
    shown = capsys.readouterr()
    assert "instruct-pix2pix is not on this computer (about 5.5 GB, MIT AND " in shown.err
    assert "take about 5.5 GB of memory at work, and this computer has 5.3 GB. They are slow" in shown.err
    assert "centerface" not in shown.err and "centerface: centerface" in shown.out


def test_models_lists_pulls_and_verifies(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "centerface" in capsys.readouterr().out
    assert main(["models", "verify", "centerface"]) == 0
    assert main(["models", "pull", "no-such"]) == 1
    own = home.parent / "mine.onnx"
    own.write_bytes(b"\x08\x0a\x3a\x07weights")  # an ONNX model, as far as its fields go
    assert main(["models", "add", "mine", str(own), "--role", "face", "--licence", "MIT"]) == 0
    assert weights.catalogue()["mine"].licence == "MIT"
    own.write_bytes(b"changed")
    assert main(["models", "verify", "mine"]) == 1


def test_pulling_the_planners_core_makes_its_model(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = home.parent / "small.gguf"
    packed.write_bytes(b"GGUF weights")
    weights.add("small", packed, "planner", "MIT")
    core, quantize = ModuleType("backbone.planner.core"), ModuleType("backbone.planner.quantize")
    core.Core = lambda gguf, adapter: gguf.read_bytes()  # type: ignore[attr-defined]
    quantize.write_quantized = lambda core, file: file.write_bytes(core)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "backbone.planner.core", core)
    monkeypatch.setitem(sys.modules, "backbone.planner.quantize", quantize)
    assert main(["models", "pull", "small"]) == 0
    (made,) = (home / "planner").glob("*.safetensors")
    assert made.read_bytes() == b"GGUF weights"
    assert f"small: made ready for planning in {made}" in capsys.readouterr().out


def test_tools_are_listed_with_those_of_a_file(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        'from superlink import Text, tool\n\n@tool(examples=["shout it"])\ndef shout(text: Text) -> Text:\n'
        '    """Make words loud."""\n    return Text(text.text.upper())\n'
    )
    assert main(["tools", "--tools", str(file)]) == 0
    assert "shout" in capsys.readouterr().out
    assert main(["tools", "redact"]) == 0
    assert capsys.readouterr().out.startswith("redact(image, regions, how) -> Image|Video\n")
    assert main(["tools", "shuot", "--tools", str(file)]) == 1
    assert "shout" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "run blur --yes a.jpg --out o b.jpg",
        "run --yes blur a.jpg b.jpg --out o",
        "run blur a.jpg b.jpg --yes --out o",
    ],
)
def test_options_may_stand_between_files(line: str) -> None:
    given = _parser().parse_args(line.split())
    assert (given.request, [str(file) for file in given.files], given.yes, str(given.out)) == (
        "blur",
        ["a.jpg", "b.jpg"],
        True,
        "o",
    )


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "annotate x",
        "export",
        "export d",
        "models",
        "models pull",
        "plan --bogus x",
        "tools a b",
        "review d --accept x",
        "run x --out",
    ],
)
def test_wrong_command_lines_are_reported(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        _parser().parse_args(line.split())
    assert left.value.code == 2 and "usage: superlink" in capsys.readouterr().err
