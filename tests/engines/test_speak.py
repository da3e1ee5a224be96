"""Speech synthesis: the real espeak-ng, and a small random VITS model in the format of transformers."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import VitsConfig, VitsModel, VitsTokenizer

from tools.core.errors import ToolError
from tools.core.settings import settings
from tools.engines import vits
from tools.runtime.execute import call
from tools.runtime.model_cache import loaded
from tools.speak import speak
from tools.storage.store import Ref, Store
from tools.values import Audio, Segment, Text, Transcript, Value
from tools.weights import weights

RATE = 16_000


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("SUPERLINK_DEVICE", "cpu")
    settings.cache_clear()
    return Store(home / "store")


def say(store: Store, text: str | Value) -> tuple[Ref, Audio]:
    ref = call(speak, {"text": text if isinstance(text, str) else store.put(text)}, store, "s4")
    assert isinstance(ref, dict)
    value = store.get(ref)
    assert isinstance(value, Audio)
    return ref, value


# ---- espeak-ng -------------------------------------------------------------------------------------------------


@pytest.fixture
def espeak() -> Path:
    """The folder of the library."""
    return Path(pytest.importorskip("espeakng_loader").__file__).parent


def test_words_become_sound(espeak: Path, store: Store) -> None:
    ref, audio = say(store, "Hello there. Three dogs and a cat.")
    assert (audio.channels, audio.rate, ref["media_type"]) == (1, 22050, "audio/flac")
    assert 2 < audio.seconds < 5
    assert np.abs(audio.samples).max() > 0.1
    (used,) = ref["provenance"]["weights"]
    assert (used["id"], used["licence"]) == ("espeak-ng", "GPL-3.0-or-later")
    assert say(store, Text("Hello there. Three dogs and a cat."))[0]["sha256"] == ref["sha256"]


def test_a_transcript_can_be_spoken(espeak: Path, store: Store) -> None:
    lines = Transcript((Segment("STOP", box=(0, 0, 9, 9)), Segment("Abbey Road", box=(0, 10, 9, 19))))
    assert say(store, lines)[0]["sha256"] == say(store, "STOP\nAbbey Road")[0]["sha256"]


def test_the_library_stays_out_of_this_process(
    espeak: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = tmp_path / "tools"  # of the folder where superlink is started
    stranger.mkdir()
    (stranger / "__init__.py").write_text("raise SystemExit('the wrong tools')")
    monkeypatch.chdir(tmp_path)
    assert say(store, "still here")[1].seconds > 0.3
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert "espeak" not in maps.read_text()


def test_long_texts_are_spoken_to_the_end(espeak: Path, store: Store) -> None:
    sentence = "The quick brown fox jumps over the lazy dog. "
    one, many = say(store, sentence)[1].seconds, say(store, sentence * 60)[1].seconds
    assert 55 < many / one < 70
    words = say(store, "word " * 400)[1].seconds  # no sentence ends anywhere
    assert words > 60


def test_control_characters_are_no_commands(espeak: Path, store: Store) -> None:
    plain = say(store, " 200s one   two")[1]
    odd = say(store, "\x01200s one \0 two")[1]
    assert np.array_equal(plain.samples, odd.samples)


@pytest.mark.parametrize("text", [" \n", "", "… --"])
def test_no_words_are_half_a_second_of_silence(espeak: Path, store: Store, text: str) -> None:
    """A picture may have no text to read, and that is no fault."""
    audio = store.get(call(speak, {"text": text}, store))  # type: ignore[arg-type]
    assert isinstance(audio, Audio)
    assert len(audio.samples) == audio.rate // 2 and not audio.samples.any()


@pytest.mark.parametrize(("text", "message"), [("a" * 100_001, "too long to be spoken at once: 100001 characters")])
def test_what_cannot_be_spoken_says_so(espeak: Path, store: Store, text: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        say(store, Text(text))


def test_a_broken_library_says_so(store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"linux": "libespeak-ng.so", "darwin": "libespeak-ng.dylib", "win32": "espeak-ng.dll"}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / names[sys.platform]).write_bytes(b"not a library")
    choose_library(home, tmp_path / "broken", monkeypatch)
    with pytest.raises(ToolError, match=r"espeak-ng failed \(1\): the library cannot be loaded.*models pull mine"):
        say(store, "words")


def test_a_folder_with_a_long_path_works(
    espeak: Path, store: Store, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library itself cuts paths after some 160 characters."""
    folder = tmp_path / ("ü" * 80) / ("b" * 120)
    shutil.copytree(espeak, folder, ignore=shutil.ignore_patterns("__pycache__"))
    choose_library(home, folder, monkeypatch)
    assert say(store, "words")[1].seconds > 0.3


def choose_library(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(exist_ok=True)
    (home / "weights.toml").write_text(
        '[mine]\nroles = ["speak"]\nlicence = "GPL-3.0-or-later"\nengine = "espeak-ng"\nformat = "native"\n'
        f'file = "mine"\nsources = [{{ path = {json.dumps(os.fspath(folder))} }}]\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("SUPERLINK_ROLE_SPEAK", "mine")
    settings.cache_clear()
    weights.pull("mine", trust=True)


# ---- Kokoro ----------------------------------------------------------------------------------------------------

LETTERS = [";", ":", ",", ".", "!", "?", "—", "…", " ", *"abcdefhijklmnopstuvwzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒˈˌːθ"]


@pytest.fixture
def kokoro_voice(espeak: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A network whose sound is its tokens, divided by 60; returns what it was given for a text."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, proto = onnx.helper, onnx.TensorProto
    inputs = [("tokens", proto.INT64, [1, "n"]), ("style", proto.FLOAT, [1, 256]), ("speed", proto.FLOAT, [1])]
    nodes = [
        helper.make_node("Cast", ["tokens"], ["numbers"], to=proto.FLOAT),
        helper.make_node("Div", ["numbers", "sixty"], ["small"]),
        helper.make_node("Reshape", ["small", "flat"], ["audio"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array(60, np.float32), "sixty"),
        onnx.numpy_helper.from_array(np.array([-1]), "flat"),
    ]
    graph = helper.make_graph(
        nodes,
        "echo",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info("audio", proto.FLOAT, ["n"])],
        constants,
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    folder = tmp_path / "kokoro"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    numbers = {letter: number for number, letter in enumerate(LETTERS, 1)}
    (folder / "vocab.json").write_text(json.dumps({"vocab": numbers}))
    (tmp_path / "af_test.bin").write_bytes(bytes(510 * 256 * 4))
    weights.add("my-kokoro", folder, "speak", "Apache-2.0", engine="kokoro")
    weights.add("my-style", tmp_path / "af_test.bin", "voice", "Apache-2.0", trust=True)
    monkeypatch.setenv("SUPERLINK_ROLE_SPEAK", "my-kokoro")
    monkeypatch.setenv("SUPERLINK_ROLE_VOICE", "my-style")
    settings.cache_clear()

    def given(text: str) -> str:
        ref, audio = say(store, text)
        assert audio.rate == 24_000 and np.abs(audio.samples).max() <= 1
        assert {used["id"] for used in ref["provenance"]["weights"]} == {"my-kokoro", "my-style", "espeak-ng"}
        tokens = np.rint(audio.samples[:, 0] * 60).astype(int).tolist()
        return "".join(LETTERS[number - 1] if number else "|" for number in tokens)

    return given


def test_punctuation_is_kept_and_numbers_are_whole(kokoro_voice: Callable[[str], str]) -> None:
    assert kokoro_voice("Hello, world!") == "|həlˈoʊ, wˈɜːld!|"
    spoken = kokoro_voice("It costs 1,000 at 9:30 — really?")
    assert spoken.count(",") == spoken.count(":") == 0 and spoken.endswith("?|") and "—" in spoken
    assert "θˈaʊ" in spoken  # a thousand


def test_long_texts_are_spoken_in_pieces(kokoro_voice: Callable[[str], str]) -> None:
    sentence = "the quick brown fox jumps over the lazy dog and runs away."
    one = kokoro_voice(sentence).strip("|")
    many = [piece for piece in kokoro_voice(f"{sentence} " * 20).split("|") if piece]
    assert "".join(many).replace(" ", "") == one.replace(" ", "") * 20
    years = [piece for piece in kokoro_voice("1777 " * 58).split("|") if piece]  # many sounds for few characters
    assert len(years) > 2 and all(len(piece) <= 509 for piece in years)


def test_another_voice_is_refused(
    kokoro_voice: Callable[[str], str], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "short.bin").write_bytes(b"short")
    weights.add("short", tmp_path / "short.bin", "voice", "MIT", trust=True)
    monkeypatch.setenv("SUPERLINK_ROLE_VOICE", "short")
    settings.cache_clear()
    with pytest.raises(ToolError, match="short in .* are no voice of Kokoro's: they have 5 bytes"):
        say(store, "hello")


# ---- VITS ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice that knows small letters and the space, and speaks them as noise."""
    folder = tmp_path_factory.mktemp("weights") / "voice"
    folder.mkdir()
    letters = {c: i for i, c in enumerate(["_", *"abcdefghijklmnopqrstuvwxyz '"])}
    (folder / "vocab.json").write_text(json.dumps({**letters, "<unk>": len(letters)}))
    torch.manual_seed(0)
    VitsModel(
        VitsConfig(
            vocab_size=len(letters) + 1,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            ffn_dim=16,
            flow_size=16,
            spectrogram_bins=16,
            upsample_initial_channel=16,
            upsample_rates=[8, 8],
            upsample_kernel_sizes=[16, 16],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
            prior_encoder_num_flows=2,
            prior_encoder_num_wavenet_layers=1,
            posterior_encoder_num_wavenet_layers=1,
            duration_predictor_num_flows=2,
            depth_separable_num_layers=1,
            depth_separable_channels=2,
            sampling_rate=RATE,
        )
    ).save_pretrained(folder)
    VitsTokenizer(folder / "vocab.json", pad_token="_", phonemize=False, language="eng").save_pretrained(folder)
    return folder


@pytest.fixture
def neural(voice: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    weights.add("my-voice", voice, "speak", "CC-BY-NC-4.0")
    monkeypatch.setenv("SUPERLINK_ROLE_SPEAK", "my-voice")
    settings.cache_clear()
    return store


def test_a_neural_voice_speaks_the_same_each_time(neural: Store) -> None:
    state = torch.random.get_rng_state()
    ref, audio = say(neural, "Hello there")
    torch.manual_seed(123)
    assert say(neural, "Hello there")[0]["sha256"] == ref["sha256"]
    assert (audio.channels, audio.rate) == (1, RATE)
    assert np.abs(audio.samples).max() > 0
    assert [(used["id"], used["licence"]) for used in ref["provenance"]["weights"]] == [("my-voice", "CC-BY-NC-4.0")]
    assert any(model.name == "_load" for model in loaded())
    torch.random.set_rng_state(state)


def test_others_random_numbers_stay_what_they_were(neural: Store) -> None:
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(7)
    say(neural, "hello")
    assert torch.equal(torch.randn(3), expected)


def test_long_texts_are_spoken_in_pieces_with_pauses(neural: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vits.pieces, "__defaults__", (20,))
    first, second = (say(neural, text)[1].samples for text in ("one two three.", "four five six."))
    both = say(neural, "one two three. four five six.")[1].samples
    pause = len(both) - len(first) - len(second)
    assert pause == RATE // 4
    assert not both[len(first) : len(first) + pause].any()
    assert np.array_equal(both[-len(second) :], second)


def test_letters_that_a_voice_does_not_know(neural: Store) -> None:
    with pytest.raises(ToolError, match="The voice my-voice knows none of the letters"):
        say(neural, "你好 123")
    assert say(neural, "你好 hello")[1].seconds > 0


def test_other_weights_are_refused_by_name(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vits"}')
    weights.add("others", tmp_path / "config.json", "speak", "MIT", trust=True)
    monkeypatch.setenv("SUPERLINK_ROLE_SPEAK", "others")
    settings.cache_clear()
    with pytest.raises(ToolError, match="The weights others .*cannot be loaded as a VITS voice"):
        say(store, "hello")


def test_a_voice_that_is_not_here_names_the_command(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERLINK_ROLE_SPEAK", "mms-tts-eng")
    settings.cache_clear()
    with pytest.raises(ToolError, match="superlink models pull mms-tts-eng"):
        say(store, "hello")


def test_texts_are_cut_after_sentences_then_after_words() -> None:
    text = "One two. Three four! Five\nsix? 七。八。\n\nnine ten eleven twelve thirteen " + "x" * 25
    assert list(vits.pieces(text, 20)) == [
        "One two. Three four!",
        "Five six? 七。 八。",
        "nine ten eleven",
        "twelve thirteen",
        "x" * 20,
        "xxxxx",
    ]
    assert list(vits.pieces("  \n ")) == []
    assert " ".join(vits.pieces("a b c. " * 100, 50)) == " ".join(["a b c."] * 100)
