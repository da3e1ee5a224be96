"""Blur the faces of a video, and compare it with the bare detector and the original.

    python benchmarks/video.py [--seconds 20] [--out DIR]

Makes a clip of three faces that move, with sound and a variable frame rate (1280x720), runs ``superlink run "blur
every face"`` with a ready plan in this process, and prints a table: frames and stamps as in the original, sound as
it was, frames in which a face is to be seen that is hidden in an adjacent frame, and frames per second beside a
loop of nothing but the detector.
"""

import argparse
import io
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from skimage import data

from tools.detect import detect
from tools.engines import routing
from tools.redact import redact
from tools.values import Detections, Video

SIZE = (720, 1280)
BASE = 90_000


def clip(seconds: float) -> bytes:
    """The clip, as an MP4 file."""
    height, width = SIZE
    astronaut: NDArray[np.uint8] = data.astronaut()
    coffee: NDArray[np.uint8] = data.coffee()
    face, photo = Pil.fromarray(astronaut[:200, 130:330]), Pil.fromarray(coffee).resize((width, height))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, BASE)
        heard = target.add_stream("aac", rate=48_000, layout="stereo")
        stamp = number = 0
        while stamp < seconds * BASE:
            scene = photo.copy()
            for one in range(3):
                scene.paste(face, (int((width - 220) * (0.5 + 0.5 * np.sin(number / 60 + one * 2))), 40 + one * 216))
            frame = av.VideoFrame.from_ndarray(np.asarray(scene), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, BASE)
            target.mux(stream.encode(frame))
            number += 1
            stamp += 3000 if number % 7 else 7500
        target.mux(stream.encode(None))
        samples = np.sin(np.arange(int(48_000 * seconds)) / 20).astype(np.float32) / 3
        track = av.AudioFrame.from_ndarray(np.stack([samples, samples]), "fltp", "stereo")
        track.sample_rate = 48_000
        target.mux(heard.encode(track))
        target.mux(heard.encode(None))
    return buffer.getvalue()


def sound(video: Video) -> list[bytes]:
    """The packets of sound."""
    with av.open(video.stream()) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def frames_with(found: Detections) -> int:
    """Return the number of frames with a find."""
    return 0 if found.frames is None else len(np.unique(found.frames))


def uncovered(before: Detections, after: Detections, frames: int) -> int:
    """Return the frames with a face found after the blur that overlaps one found before it, at most a frame away."""
    assert before.frames is not None and after.frames is not None
    count = 0
    for number in range(frames):
        left = after.xyxy[after.frames == number]
        near = before.xyxy[np.abs(before.frames - number) <= 1]
        corners = np.minimum(left[:, None, 2:], near[None, :, 2:]) - np.maximum(left[:, None, :2], near[None, :, :2])
        count += bool((corners > 0).all(-1).any())
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp())
    out.mkdir(parents=True, exist_ok=True)
    (out / "clip.mp4").write_bytes(clip(given.seconds))
    video = Video.open(out / "clip.mp4")
    chosen = routing.finders(["face"], "detect", "detect_open", faces=True)
    began = time.perf_counter()
    for _, _, pixels in video.frames():
        routing.find([pixels], chosen, None)
    bare = time.perf_counter() - began
    began = time.perf_counter()
    [found] = detect([video], ["face"])
    made = redact(video, found)
    ours = time.perf_counter() - began
    (out / "blurred.mp4").write_bytes(made.to_bytes())
    [left] = detect([made], ["face"])
    rows = {
        "frames": f"{video.frame_count} and {made.frame_count}",
        "largest difference of stamps": f"{np.abs(video.times - made.times).max():.6f} s",
        "sound byte for byte": str(sound(video) == sound(made)),
        "faces found before": f"{len(found)} in {frames_with(found)} frames",
        "frames with an uncovered face": str(uncovered(found, left, video.frame_count)),
        "frames per second, bare detector": f"{video.frame_count / bare:.2f}",
        "frames per second, detect and redact": (
            f"{video.frame_count / ours:.2f} ({bare / ours:.2f} of the bare detector)"
        ),
    }
    for what, figure in rows.items():
        print(f"{what:<38} {figure}")
    print(f"clip.mp4 and blurred.mp4 are in {out}")


if __name__ == "__main__":
    main()
