"""Text becomes speech that can be understood."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.engines.test_whisper import errors, words
from tools import Audio, Store, Transcript
from tools.engines.vits import sentences
from tools.execute import call
from tools.speak import speak
from tools.transcribe import transcribe

pytest.importorskip("espeakng_loader")
Choose = Callable[[str, Path], str]
SENTENCE = "The library closes early today. Please bring your books back before the evening."


def spoken(text: str, store: Store) -> Audio:
    ref = call(speak, {"text": text}, store, "s1")
    assert not isinstance(ref, list)
    value = store.get(ref)
    assert isinstance(value, Audio)
    return value


def test_a_sentence_takes_its_time(store: Store) -> None:
    short, long = spoken("Hello.", store), spoken(SENTENCE, store)
    assert short.rate == 22_050 and short.samples.shape[1] == 1
    assert 0.2 < len(short.samples) / short.rate < 2
    assert len(long.samples) > 4 * len(short.samples)
    assert np.abs(long.samples).max() > 0.1


def test_the_same_text_sounds_the_same(store: Store) -> None:
    assert np.array_equal(spoken(SENTENCE, store).samples, spoken(SENTENCE, store).samples)


def test_long_text_loses_nothing(store: Store) -> None:
    once, often = spoken(SENTENCE, store), spoken(" ".join([SENTENCE] * 40), store)
    assert len(often.samples) > 30 * len(once.samples)


@pytest.mark.parametrize("text", ["", "  \n", "***"])
def test_no_words_are_half_a_second_of_silence(text: str, store: Store) -> None:
    audio = spoken(text, store)
    assert len(audio.samples) == audio.rate // 2 and not audio.samples.any()


@pytest.mark.parametrize("text", ["naïve café — 20 €", "日本語", "a\0b", "<speak>x</speak> & more"])
def test_any_text_is_taken(text: str, store: Store) -> None:
    assert len(spoken(text, store).samples) > 0


def test_the_voice_runs_in_a_process_of_its_own() -> None:
    """The GPL library is never loaded into ours."""
    done = subprocess.run(
        [sys.executable, "-c",
         "import sys, json\n"
         "from tools.engines import espeak\n"
         "audio = espeak.speak('hello', 'espeak-ng')\n"
         "print(json.dumps(['libespeak' in open('/proc/self/maps').read(), len(audio.samples)]))"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    loaded, count = json.loads(done.stdout)
    assert not loaded and count > 1000


def test_speech_is_understood(shared: Path, choose: Choose, store: Store) -> None:
    choose("transcribe", shared / "models" / "whisper-base.pt")
    ref = call(transcribe, {"audio": store.put(spoken(SENTENCE, store))}, store, "s2")
    assert not isinstance(ref, list)
    transcript = store.get(ref)
    assert isinstance(transcript, Transcript)
    assert errors(words(SENTENCE), words(transcript.text)) <= 2


def test_a_neural_voice(choose: Choose, store: Store, tmp_path: Path) -> None:
    """A random VITS model in transformers' own format."""
    import torch
    from transformers import VitsConfig, VitsModel, VitsTokenizer

    letters = ["<pad>", *"abcdefghijklmnopqrstuvwxyz' -"]
    vocabulary = tmp_path / "vocab.json"
    vocabulary.write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    folder = tmp_path / "voice"
    torch.manual_seed(0)
    config = VitsConfig(
        vocab_size=len(letters), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=32, flow_size=16,
        spectrogram_bins=33, upsample_initial_channel=32, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3, 5]], prior_encoder_num_flows=1,
        prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1, depth_separable_num_layers=1,
        duration_predictor_num_flows=1, wavenet_dilation_rate=1,
    )  # fmt: skip
    VitsModel(config).save_pretrained(folder)
    VitsTokenizer(str(vocabulary), pad_token="<pad>", unk_token="<pad>", language="eng", phonemize=False).save_pretrained(folder)
    choose("speak", folder)
    first, second = spoken("Hello there. How are you?", store), spoken("Hello there. How are you?", store)
    assert first.rate == 16_000 and len(first.samples) > 100
    assert np.array_equal(first.samples, second.samples)


def test_sentences_keep_every_word() -> None:
    text = "One. Two; three!\nFour " + "word " * 200
    pieces = sentences(text)
    assert " ".join(pieces).split() == text.split()
    assert max(map(len, pieces)) <= 300
