"""Speech to text."""

from tools.base import tool
from tools.engines import whisper
from tools.values import Audio, Transcript, Video


@tool(examples=["write down what is said", "subtitles for this video", "type up the interview"])
def transcribe(audio: Audio | Video) -> Transcript:
    """Write down the speech in a recording or a video.

    Long recordings are cut at silences. The language is recognised from the first words.

    Args:
        audio: The recording, or a video with sound.

    Returns:
        Segments with start and end in seconds; none when nobody speaks.

    Raises:
        MediaError: when the video has no sound.
    """
    return whisper.transcribe(audio.audio() if isinstance(audio, Video) else audio)
