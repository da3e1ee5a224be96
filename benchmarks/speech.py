"""Word error rate of transcription.

    python benchmarks/speech.py FOLDER

FOLDER holds recordings and ``transcripts.json``, which maps the name of each (without its ending) to the words that
are said in it, in English. Recordings are transcribed by the tool ``transcribe`` with the model of the role
``transcribe``; another one is measured with SUPERLINK_ROLE_TRANSCRIBE=ID.

The word error rate is the number of words to put in, take out or replace, divided by the number of words that are
said. Both texts go through Whisper's own ``EnglishTextNormalizer`` first: lower case, no punctuation, numbers as
digits, "St." as "saint", contractions written out, British spelling as American, hesitations taken out.
"""

import argparse
import json
import statistics
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT.parent))

from tools.core.errors import SuperlinkError  # noqa: E402
from tools.transcribe import transcribe  # noqa: E402
from tools.values import Audio  # noqa: E402


@cache
def normaliser() -> Any:
    from whisper.normalizers import EnglishTextNormalizer

    return EnglishTextNormalizer()


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Return the number of wrong words and the number of words that are said (1 for silence)."""
    reference, words = normaliser()(said).split(), normaliser()(heard).split()
    costs = np.arange(len(words) + 1)  # of turning no word of the reference into each beginning of what was heard
    for number, word in enumerate(reference, 1):
        before, costs = costs, np.full(len(words) + 1, number)
        for i, other in enumerate(words, 1):
            costs[i] = min(before[i] + 1, costs[i - 1] + 1, before[i - 1] + (word != other))
    return int(costs[-1]), max(len(reference), 1)


def word_error_rate(said: str, heard: str) -> float:
    errors, count = word_errors(said, heard)
    return errors / count


def recordings(folder: Path) -> dict[str, tuple[Audio, str]]:
    """Return each recording of a folder and what is said in it, by name."""
    try:
        transcripts = json.loads((folder / "transcripts.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{folder / 'transcripts.json'} cannot be read: {error}")
    files = {file.stem: file for file in folder.iterdir() if file.suffix != ".json"}
    if missing := sorted(set(transcripts) - set(files)):
        sys.exit(f"{folder} lacks recordings of transcripts.json: {', '.join(missing)}")
    try:
        return {name: (Audio.open(files[name]), said) for name, said in sorted(transcripts.items())}
    except SuperlinkError as error:
        sys.exit(str(error))


def main() -> None:
    parser = argparse.ArgumentParser(description="Word error rates of the tool `transcribe`.")
    parser.add_argument("folder", type=Path, help="recordings and transcripts.json")
    folder = parser.parse_args().folder
    rates, all_errors, all_words = [], 0, 0
    print(f"{'clip':<20}{'seconds':>8}{'words':>7}{'errors':>8}{'WER':>8}  heard")
    for name, (audio, said) in recordings(folder).items():
        try:
            heard = transcribe(audio).text
        except SuperlinkError as error:
            sys.exit(str(error))
        errors, count = word_errors(said, heard)
        rates.append(errors / count)
        all_errors, all_words = all_errors + errors, all_words + count
        print(f"{name:<20}{audio.seconds:>8.1f}{count:>7}{errors:>8}{errors / count:>8.1%}  {heard}", flush=True)
    print(f"{'mean of clips':<35}{'':>8}{statistics.mean(rates):>8.1%}")
    print(f"{'all words':<28}{all_words:>7}{all_errors:>8}{all_errors / all_words:>8.1%}")


if __name__ == "__main__":
    main()
