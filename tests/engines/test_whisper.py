"""Speech becomes text, with times; silence becomes none."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tools import Audio, Store, Transcript
from tools.engines import vad
from tools.execute import call
from tools.transcribe import transcribe

pytest.importorskip("whisper")
pytest.importorskip("silero_vad")

Choose = Callable[[str, Path], str]


def heard(audio: Audio, store: Store) -> Transcript:
    ref = call(transcribe, {"audio": store.put(audio)}, store, "s1")
    assert not isinstance(ref, list)
    value = store.get(ref)
    assert isinstance(value, Transcript)
    return value


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("st.", "saint")).split()


def errors(reference: list[str], said: list[str]) -> int:
    """Word errors by edit distance."""
    row = list(range(len(said) + 1))
    for i, expected in enumerate(reference, 1):
        before, row[0] = row[0], i
        for j, got in enumerate(said, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (expected != got))
    return row[-1]


@pytest.fixture
def clips(shared: Path) -> dict[str, tuple[Audio, list[str]]]:
    folder = shared / "media" / "speech"
    texts = json.loads((folder / "transcripts.json").read_text())
    return {name: (Audio.open(folder / f"{name}.flac"), words(text)) for name, text in texts.items()}


@pytest.fixture
def whisper_base(shared: Path, choose: Choose) -> str:
    return choose("transcribe", shared / "models" / "whisper-base.pt")


@pytest.fixture
def random_whisper(choose: Choose, tmp_path: Path) -> str:
    """A random model in openai-whisper's own format: the loading code without the real weights."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    dims = ModelDimensions(80, 1500, 64, 2, 1, 51865, 448, 64, 2, 1)
    model = Whisper(dims)
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.01)
    file = tmp_path / "random.pt"
    torch.save({"dims": dims.__dict__, "model_state_dict": model.state_dict()}, file)
    return choose("transcribe", file)


def tone(seconds: float, rate: int = 16_000) -> NDArray[np.float32]:
    return (0.2 * np.sin(np.arange(int(seconds * rate)) * 0.05)).astype(np.float32)


def test_real_speech(whisper_base: str, clips: dict[str, tuple[Audio, list[str]]], store: Store) -> None:
    wrong = total = 0
    for audio, reference in clips.values():
        transcript = heard(audio, store)
        assert transcript.language == "en"
        wrong += errors(reference, words(transcript.text))
        total += len(reference)
    assert wrong / total <= 0.10


def test_a_long_recording_is_cut_at_silences(
    whisper_base: str, clips: dict[str, tuple[Audio, list[str]]], store: Store
) -> None:
    """Three clips, 20 s of silence between them: times are those of the whole recording."""
    chosen = [clips[name] for name in ("61-70968-0000", "237-134500-0000", "8224-274384-0000")]
    silence = np.zeros(20 * vad.RATE, np.float32)
    parts: list[NDArray[np.float32]] = []
    starts = []
    for audio, _ in chosen:
        parts.append(silence)
        starts.append(sum(map(len, parts)) / vad.RATE)
        parts.append(audio.mono(vad.RATE))
    transcript = heard(Audio(np.concatenate(parts), vad.RATE), store)
    times = [(s.start, s.end) for s in transcript.segments]
    assert all(a is not None and b is not None and a <= b for a, b in times)
    assert times == sorted(times)
    for start, (audio, reference) in zip(starts, chosen, strict=True):
        length = len(audio.samples) / audio.rate
        inside = [s for s in transcript.segments if s.start is not None and start - 1 <= s.start <= start + length]
        assert errors(reference, words(" ".join(s.text for s in inside))) <= 3


def test_eight_kilohertz_and_stereo(whisper_base: str, clips: dict[str, tuple[Audio, list[str]]], store: Store) -> None:
    audio, reference = clips["61-70968-0000"]
    narrow = audio.mono(8000)
    transcript = heard(Audio(np.stack([narrow, narrow * 0.5], axis=1), 8000), store)
    assert errors(reference, words(transcript.text)) <= 3


@pytest.mark.parametrize("samples", [np.zeros(3 * 16_000, np.float32), tone(3), np.zeros(7, np.float32)])
def test_where_nobody_speaks_nothing_is_heard(random_whisper: str, samples: NDArray[np.float32], store: Store) -> None:
    assert heard(Audio(samples, 16_000), store).segments == ()


def test_a_model_in_whispers_own_format_loads(
    random_whisper: str, clips: dict[str, tuple[Audio, list[str]]], store: Store
) -> None:
    first, second = (heard(clips["672-122797-0000"][0], store) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()


def test_missing_weights_are_named(store: Store) -> None:
    from tools.errors import ToolError

    with pytest.raises(ToolError, match="superlink models pull whisper-base"):
        heard(Audio(tone(1), 16_000), store)
