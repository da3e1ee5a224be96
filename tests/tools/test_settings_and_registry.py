"""Settings, and which tools there are."""

from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tools.core.errors import DeclarationInvalid, SettingsInvalid
from tools.core.settings import DEFAULT_ROLES, WORLD_ROLES, settings
from tools.runtime import registry
from tools.weights.catalogue import catalogue

TOOL = '''
from tools import Image, Number, tool

@tool(examples=["how wide is it?"])
def {name}(image: Image) -> Number:
    """Tell the width."""
    return Number(image.width)
'''


def test_defaults(home: Path) -> None:
    chosen = settings()
    assert chosen.home == home and chosen.store_url == str(home / "store")
    assert chosen.roles == DEFAULT_ROLES and chosen.memory_bytes > 0
    assert chosen.role("face") == "centerface"
    with pytest.raises(SettingsInvalid, match="no role 'dance'"):
        chosen.role("dance")


def test_the_environment_goes_before_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "settings.toml").write_text(
        'device = "cpu"\nmax_image_bytes = 10\ntools = ["~/a.py"]\n[roles]\ndetect = "mine"\npose = "file"\n'
    )
    monkeypatch.setenv("SUPERLINK_MAX_IMAGE_BYTES", "20")
    monkeypatch.setenv("SUPERLINK_ROLE_POSE", "environment")
    monkeypatch.setenv("SUPERLINK_ENTRY_POINTS", "0")
    settings.cache_clear()
    chosen = settings()
    assert (chosen.device, chosen.max_image_bytes, chosen.entry_points) == ("cpu", 20, False)
    assert chosen.tools == (str(Path("~/a.py").expanduser()),)
    assert (chosen.role("detect"), chosen.role("pose"), chosen.role("track")) == ("mine", "environment", "yolo26n")


def test_world_weights_stand_for_the_roles_where_no_other_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_WEIGHTS", "world")
    monkeypatch.setenv("SUPERLINK_ROLE_POSE", "mine")
    settings.cache_clear()
    chosen = settings()
    assert (chosen.role("detect"), chosen.role("pose"), chosen.role("face")) == ("world-detect", "mine", "centerface")
    assert set(WORLD_ROLES.values()) <= set(catalogue())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("device = ", "cannot be read"),
        ('device = "tpu"', "device cannot be 'tpu'.*auto, cpu, cuda"),
        ("max_image_bytes = -3", "max_image_bytes"),
        ('weights = "moon"', "weights cannot be 'moon'.*photographs, starter, world"),
        ("colour = 3", "unknown names: colour"),
        ("home = 3", "unknown names: home"),
        ('[roles]\ndance = "x"', "unknown roles: dance"),
        ("[roles]\ndetect = 3", "must map roles"),
    ],
)
def test_faulty_settings_are_explained(home: Path, text: str, words: str) -> None:
    home.mkdir()
    (home / "settings.toml").write_text(text)
    with pytest.raises(SettingsInvalid, match=words) as caught:
        settings()
    assert "settings.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("SUPERLINK_DEVICE", "tpu", "SUPERLINK_DEVICE: device cannot be 'tpu'.*auto, cpu, cuda"),
        ("SUPERLINK_MAX_AUDIO_SECONDS", "nan", "SUPERLINK_MAX_AUDIO_SECONDS: .* cannot be 'nan'"),
        ("SUPERLINK_ENTRY_POINTS", "maybe", "SUPERLINK_ENTRY_POINTS: entry_points cannot be 'maybe'"),
        ("SUPERLINK_ROLE_DANCE", "x", "the environment .* unknown roles: dance"),
        ("SUPERLINK_ROLES", "{", "SUPERLINK_ROLES: roles cannot be '{'"),
        ("SUPERLINK_MODELS", "~nobody-of-this-name/x", "home folder is not known"),
    ],
)
def test_faulty_variables_are_explained(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, words: str
) -> None:
    monkeypatch.setenv(variable, text)
    settings.cache_clear()
    with pytest.raises(SettingsInvalid, match=words):
        settings()


def test_an_empty_variable_sets_nothing_and_zero_leaves_the_choice(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEVICE", "MEMORY_BYTES", "ROLE_POSE", "TOOLS"):
        monkeypatch.setenv(f"SUPERLINK_{name}", "")
    monkeypatch.setenv("SUPERLINK_GPU_MEMORY_BYTES", "0")
    settings.cache_clear()
    chosen = settings()
    assert (chosen.device, chosen.tools, chosen.role("pose")) == ("auto", (), DEFAULT_ROLES["pose"])
    assert chosen.memory_bytes > 0 and chosen.gpu_memory_bytes == 0


@pytest.mark.parametrize("spec", registry.BUILTIN)
def test_every_built_in_tool_keeps_the_contract(spec: str) -> None:
    module, _, name = spec.partition(":")
    tool = getattr(import_module(module), name)
    assert spec == f"{tool.fn.__module__}:{tool.name}"
    assert len(tool.examples) >= 2
    assert tool.doc.endswith(".") and len(tool.doc) < 100
    assert all(given.doc for given in tool.inputs.values()), "every input is explained"
    assert all(entry.get("description") for entry in tool.card()["params"].values()), "every parameter is explained"


@pytest.fixture
def two_built_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILTIN", ("tools.count:count", "tools.pick:pick"))


def test_own_files_add_tools(two_built_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.py").write_text(TOOL.format(name="width_one"))
    (tmp_path / "two.py").write_text(TOOL.format(name="width_two"))
    monkeypatch.setenv("SUPERLINK_TOOLS", str(tmp_path / "two.py"))
    settings.cache_clear()
    found = registry.load([tmp_path / "one.py"], entry_points=False)
    assert list(found) == ["count", "pick", "width_two", "width_one"]
    assert registry.load([tmp_path / "one.py", tmp_path / "one.py"], entry_points=False).keys() == found.keys()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_this_name", "cannot be loaded.*nothing_of_this_name"),
        ("x = 1", "defines no tool"),
        ("def (", "cannot be loaded"),
        (TOOL.format(name="count"), "'count'.*has the name of"),
        (TOOL.format(name="odd").replace("image: Image", "image"), "untyped"),
    ],
)
def test_broken_files_are_named(two_built_in: None, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(DeclarationInvalid, match=words) as caught:
        registry.load([tmp_path / "broken.py"], entry_points=False)
    assert "broken.py" in str(caught.value)


def test_the_version_of_an_own_tool_tells_its_source(
    two_built_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(TOOL.format(name="width"))
    [before] = registry.file_tools(file)
    assert before.version.startswith("1+") and registry.file_tools(file)[0].version == before.version
    (tmp_path / "moved.py").write_bytes(file.read_bytes())
    assert registry.file_tools(tmp_path / "moved.py")[0].version == before.version
    file.write_text(file.read_text().replace("image.width", "image.height"))
    assert registry.file_tools(file)[0].version != before.version
    # The same for a package's tool; a built-in one says itself when its results change.
    monkeypatch.setattr(
        registry, "installed_entry_points", lambda group: [EntryPoint("remove", "tools.remove:remove", registry.GROUP)]
    )
    tools = registry.load(entry_points=True)
    version = tools["remove"].version
    assert "+" in version and registry.load(entry_points=True)["remove"].version == version
    assert "+" not in tools["count"].version
    monkeypatch.setattr(tools["remove"], "version", version.partition("+")[0])


def test_missing_files_are_named(two_built_in: None, tmp_path: Path) -> None:
    with pytest.raises(DeclarationInvalid, match=r"gone\.py"):
        registry.load([tmp_path / "gone.py"], entry_points=False)


def test_broken_packages_are_named(two_built_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, words in (("no_such_module:x", "no_such_module"), ("json:dumps", "is no tool")):
        point = EntryPoint("x", value, registry.GROUP)
        monkeypatch.setattr(registry, "installed_entry_points", lambda group, point=point: [point])
        with pytest.raises(DeclarationInvalid, match=words):
            registry.load()
