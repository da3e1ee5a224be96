"""Writing down speech."""

from tools.runtime.tool import tool
from tools.values import Audio, Transcript, Video
from tools.weights.needs import weights_of


@tool(
    examples=["write down what is said", "transcribe this recording"],
    version="2",
    words="Write down what is said in {audio}",
    needs=weights_of("transcribe", "vad"),
)
def transcribe(audio: Audio | Video) -> Transcript:
    """Write down what is said in a recording or a video.

    The language is recognised, and nothing is translated. Recordings of any length are cut at pauses; where nobody
    speaks, nothing is written. The role `transcribe` in the settings chooses the Whisper model.

    Args:
        audio: The recording, or a video with sound.

    Returns:
        Segments with their times in seconds and a score, and the language; no segments when nothing is said.

    Raises:
        MediaError: when a video has no sound.
        WeightsMissing: when the chosen weights are not on this computer.
    """
    from tools.engines import whisper

    return whisper.transcribe(audio.audio() if isinstance(audio, Video) else audio)
