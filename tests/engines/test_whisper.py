"""Speech to text: a small random model in Whisper's own format, and the real one where it is available."""

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

pytest.importorskip("silero_vad")
pytest.importorskip("whisper")
from whisper.model import ModelDimensions, Whisper

from tests.conftest import ROOT
from tests.engines.helpers import starter_set
from tools.core.errors import ToolError
from tools.core.settings import settings
from tools.engines import espeak, vad, whisper
from tools.runtime.execute import call
from tools.runtime.model_cache import evict_idle
from tools.speak import speak
from tools.storage.store import Ref, Store
from tools.transcribe import transcribe
from tools.values import Audio, Segment, Transcript, Video
from tools.weights import weights

RATE = vad.RATE
TEXT = "A red bus is parked next to a small green tree. There are three dogs and two people in the picture."

Choose = Callable[[str, Path], str]


@pytest.fixture
def cpu(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """On the CPU, with one thread: threads cost small models far more than they save."""
    monkeypatch.setenv("SUPERLINK_DEVICE", "cpu")
    settings.cache_clear()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """A few seconds of espeak-ng's voice, (N,) at `RATE`; it needs no weights but those of its package."""
    pytest.importorskip("espeakng_loader")
    return espeak.say(TEXT, "espeak-ng").mono(RATE)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark, for its word error rate."""
    spec = importlib.util.spec_from_file_location("benchmark_speech", ROOT / "benchmarks" / "speech.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * RATE), np.float32)


def hear(store: Store, value: Audio | Video | NDArray[np.float32]) -> tuple[Ref, Transcript]:
    given = Audio(value, RATE) if isinstance(value, np.ndarray) else value
    ref = call(transcribe, {"audio": store.put(given)}, store, "s1")
    assert isinstance(ref, dict)
    transcript = store.get(ref)
    assert isinstance(transcript, Transcript)
    return ref, transcript


def check_times(transcript: Transcript, seconds: float) -> None:
    end = 0.0
    for segment in transcript.segments:
        assert segment.start is not None and segment.end is not None
        assert end <= segment.start <= segment.end <= seconds + 0.001
        end = segment.end


# ---- where there is speech -------------------------------------------------------------------------------------


def test_pieces_are_where_somebody_speaks(home: Path, speech: NDArray[np.float32]) -> None:
    before = torch.get_num_threads()
    length = len(speech) / RATE
    starts = [3.0, 3.0 + length + 10, 3.0 + 2 * length + 25]
    recording = np.concatenate([silence(3), speech, silence(10), speech, silence(15), speech, silence(4)])
    found = vad.pieces(recording, 30)
    assert len(found) == 3
    for (first, last), start in zip(found, starts, strict=True):
        assert first / RATE == pytest.approx(start, abs=0.7)
        assert last / RATE == pytest.approx(start + length, abs=0.7)
    assert torch.get_num_threads() == before


def test_long_speech_is_cut_at_pauses(home: Path, speech: NDArray[np.float32]) -> None:
    recording = np.concatenate([part for _ in range(10) for part in (speech, silence(0.4))])
    found = vad.pieces(recording, 30)
    assert len(recording) / RATE > 60
    assert all(last - first <= 30 * RATE for first, last in found)
    assert all(one[1] <= two[0] for one, two in zip(found, found[1:], strict=False))
    cuts = [(one[1] + two[0]) // 2 for one, two in zip(found, found[1:], strict=False)]
    assert cuts and all(np.abs(recording[cut - 400 : cut + 400]).max() < 0.05 for cut in cuts)
    assert sum(last - first for first, last in found) > 0.95 * len(recording)


@pytest.mark.parametrize("gain", [1.0, 0.001])
def test_quiet_speech_is_found_too(home: Path, speech: NDArray[np.float32], gain: float) -> None:
    assert len(vad.pieces(speech * gain, 30)) == 1


# ---- a small random model --------------------------------------------------------------------------------------


@pytest.fixture
def random_model(cpu: None, choose: Choose, tmp_path: Path) -> Iterator[str]:
    """It writes nonsense, but loads, runs and fails as the real ones do; its texts are at most 16 tokens long."""
    torch.manual_seed(0)
    dims = ModelDimensions(80, 1500, 16, 2, 1, 51865, 32, 16, 2, 1)
    model = Whisper(dims)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.01)  # Whisper leaves it as the memory was
    file = tmp_path / "random.pt"
    torch.save({"dims": dims.__dict__, "model_state_dict": model.state_dict()}, file)
    yield choose("transcribe", file)
    evict_idle()


def test_a_model_in_safetensors_writes_what_its_pickle_does(
    random_model: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speech: NDArray[np.float32]
) -> None:
    """The form in which converted weights are kept."""
    pickled = hear(store, speech)[1]
    saved = torch.load(tmp_path / "random.pt", weights_only=True)
    described = {"dims": saved["dims"], "alignment_heads": [[0, 1]]}
    file = tmp_path / "random.safetensors"
    save_file(saved["model_state_dict"], file, metadata={"whisper": json.dumps(described)})
    weights.add("safe", file, "transcribe", "CC0-1.0")
    monkeypatch.setenv("SUPERLINK_ROLE_TRANSCRIBE", "safe")
    settings.cache_clear()
    assert hear(store, speech)[1].segments == pickled.segments
    model: Whisper = whisper._load(file, "safe")  # type: ignore[assignment]
    assert model.alignment_heads.to_dense().nonzero().tolist() == [[0, 1]]  # type: ignore[operator]


@pytest.mark.parametrize("metadata", [None, {"whisper": "{}"}, {"whisper": "no JSON"}])
def test_other_safetensors_are_no_whisper(cpu: None, tmp_path: Path, metadata: dict[str, str] | None) -> None:
    file = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, file, metadata=metadata)
    with pytest.raises(ToolError, match="cannot be loaded as a Whisper model"):
        whisper._load(file, "other")


def test_a_model_in_whispers_own_format_writes_the_same_each_time(
    random_model: str, store: Store, speech: NDArray[np.float32]
) -> None:
    recording = np.concatenate([silence(2), speech, silence(3), speech])
    ref, transcript = hear(store, recording)
    assert transcript.segments and transcript.language in whisper_languages()
    assert all(segment.score is not None for segment in transcript.segments)
    check_times(transcript, len(recording) / RATE)
    torch.manual_seed(99)
    assert hear(store, recording)[0]["sha256"] == ref["sha256"]
    used = [one["id"] for one in ref["provenance"]["weights"]]
    assert used == [random_model, "silero-vad"]


def whisper_languages() -> dict[str, str]:
    from whisper.tokenizer import LANGUAGES

    languages: dict[str, str] = LANGUAGES
    return languages


def test_a_video_is_heard_by_its_sound(random_model: str, store: Store, speech: NDArray[np.float32]) -> None:
    frames = [np.zeros((32, 32, 3), np.uint8)] * 30
    transcript = hear(store, Video.from_frames(frames, 5, Audio(speech, RATE)))[1]
    assert transcript.segments
    check_times(transcript, len(speech) / RATE + 0.2)


def test_a_video_without_sound_says_so(random_model: str, store: Store) -> None:
    with pytest.raises(ToolError, match="no sound"):
        hear(store, Video.from_frames([np.zeros((32, 32, 3), np.uint8)] * 3, 5))


@pytest.mark.parametrize("kind", ["silence", "one sample", "noise", "tone", "hum"])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_where_nobody_speaks_nothing_is_written(random_model: str, store: Store, kind: str, rate: int) -> None:
    rng, times = np.random.default_rng(0), np.arange(4 * rate) / rate
    samples = {
        "silence": np.zeros((4 * rate, 2)),
        "one sample": np.zeros(1),
        "noise": rng.normal(0, 0.05, 4 * rate),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * times),
        "hum": 0.01 * np.sin(2 * np.pi * 50 * times) + rng.normal(0, 0.0005, 4 * rate),
    }[kind]
    transcript = hear(store, Audio(samples, rate))[1]
    assert transcript.segments == () and transcript.text == "" and transcript.language is None


def test_other_weights_are_refused_by_name(
    cpu: None, choose: Choose, store: Store, tmp_path: Path, speech: NDArray[np.float32]
) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    weights_id = choose("transcribe", tmp_path / "other.pt")
    with pytest.raises(ToolError, match=f"The weights {weights_id} .*cannot be loaded as a Whisper model"):
        hear(store, speech)


def test_a_speech_detector_that_is_none_is_refused_by_name(
    random_model: str, choose: Choose, store: Store, tmp_path: Path, speech: NDArray[np.float32]
) -> None:
    (tmp_path / "other.onnx").write_bytes(b"not a network")
    weights_id = choose("vad", tmp_path / "other.onnx")
    with pytest.raises(ToolError, match=f"The weights {weights_id} .*cannot be loaded as a silero-vad model"):
        hear(store, speech)


def test_missing_weights_name_the_command(store: Store) -> None:
    with pytest.raises(ToolError, match="superlink models pull whisper-base"):
        hear(store, silence(1))


# ---- second tries and times ------------------------------------------------------------------------------------


class Heard:
    """Stands in for a model that repeats itself until it searches by beams."""

    device = torch.device("cpu")

    def __init__(self, *, beams_help: bool) -> None:
        self.beams_help = beams_help
        self.tries: list[int | None] = []

    def transcribe(self, samples: object, *, beam_size: int | None, temperature: float, **_: object) -> object:
        assert temperature == 0  # never at random
        self.tries.append(beam_size)
        good = bool(beam_size) and self.beams_help
        return {
            "segments": [
                {"text": "fine" if good else "no no no", "avg_logprob": -0.5, "compression_ratio": 1.0 if good else 9.0}
            ]
        }


@pytest.mark.parametrize(("beams_help", "text"), [(True, "fine"), (False, "no no no")])
def test_repetitions_are_heard_once_more(beams_help: bool, text: str) -> None:
    model = Heard(beams_help=beams_help)
    assert [s["text"] for s in whisper._hear(model, silence(1), "en")] == [text]
    assert model.tries == [None, 5]


def test_times_stay_in_their_piece_and_in_order() -> None:
    segments: list[Segment] = []
    for text, start, end in ((" one", 0.0, 2.0), ("two", 1.5, 99.0), (" ", 0.0, 1.0)):
        whisper._append(segments, {"text": text, "start": start, "end": end, "avg_logprob": -0.1}, 10.0, 14.5)
    assert [(s.text, s.start, s.end) for s in segments] == [("one", 10.0, 12.0), ("two", 12.0, 14.5)]


def test_word_error_rate(benchmark: ModuleType) -> None:
    assert benchmark.word_errors("saint albans is here", "St. Albans is here!") == (0, 4)
    assert benchmark.word_errors("one small step", "one giant small leap") == (2, 3)
    assert benchmark.word_errors("a b c", "") == (3, 3)


# ---- the real model --------------------------------------------------------------------------------------------


@pytest.fixture
def whisper_base(shared: Path, choose: Choose) -> str:
    file = shared / "models" / "whisper-base.pt"
    if not file.is_file():
        pytest.skip("the model is not there")
    return choose("transcribe", file)


@pytest.fixture
def clips(shared: Path) -> dict[str, tuple[Audio, str]]:
    """Recordings and what is said in them."""
    folder = shared / "media" / "speech"
    if not folder.is_dir():
        pytest.skip("the recordings are not there")
    texts = json.loads((folder / "transcripts.json").read_text(encoding="utf-8"))
    return {name: (Audio.open(folder / f"{name}.flac"), said) for name, said in texts.items()}


def test_a_long_recording_is_written_down_with_its_times(
    whisper_base: str, store: Store, benchmark: ModuleType, clips: dict[str, tuple[Audio, str]]
) -> None:
    """All clips, one after the other, with silence between them: 70 seconds."""
    parts, places = [silence(4)], []
    for audio, said in clips.values():
        begin = sum(map(len, parts)) / RATE
        parts += [audio.mono(RATE), silence(8)]
        places.append((begin, begin + audio.seconds, said))
    recording = np.concatenate(parts)
    assert len(recording) > 70 * RATE
    transcript = hear(store, recording)[1]
    assert transcript.language == "en"
    check_times(transcript, len(recording) / RATE)
    rates = []
    for begin, end, said in places:
        here = [s for s in transcript.segments if s.start is not None and begin - 1 <= s.start <= end]
        assert all(s.end is not None and s.end <= end + 1 for s in here)
        rates.append(benchmark.word_error_rate(said, " ".join(s.text for s in here)))
    assert max(rates) <= 0.45 and np.mean(rates) <= 0.12


def test_telephone_sound_in_two_channels(
    whisper_base: str, store: Store, benchmark: ModuleType, clips: dict[str, tuple[Audio, str]]
) -> None:
    audio, said = clips["61-70968-0000"]
    narrow = audio.mono(8000)
    transcript = hear(store, Audio(np.stack([narrow, 0.3 * narrow], axis=1), 8000))[1]
    assert benchmark.word_error_rate(said, transcript.text) <= 0.2


def test_what_is_spoken_is_understood(whisper_base: str, store: Store, benchmark: ModuleType) -> None:
    pytest.importorskip("espeakng_loader")
    spoken = call(speak, {"text": TEXT}, store, "s1")
    ref = call(transcribe, {"audio": spoken}, store, "s2")
    assert isinstance(ref, dict)
    assert benchmark.word_error_rate(TEXT, str(store.get(ref))) <= 0.15


# ---- the starter set, where it was pulled ----------------------------------------------------------------------


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with starter_set(monkeypatch, "speak", "voice", "transcribe"):
        yield


def test_kokoro_is_understood_by_the_converted_whisper(starter: None, benchmark: ModuleType, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    spoken = call(speak, {"text": TEXT}, store, "s1")
    ref = call(transcribe, {"audio": spoken}, store, "s2")
    assert isinstance(ref, dict) and isinstance(spoken, dict)
    used = {one["id"] for one in spoken["provenance"]["weights"]}
    assert used == {"kokoro-82m", "kokoro-af-heart", "espeak-ng"}
    assert benchmark.word_error_rate(TEXT, str(store.get(ref))) <= 0.05
