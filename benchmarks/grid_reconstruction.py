"""Re-speaks GRID test clips with their own speech and measures the written files.

    python3 tools/host.py python benchmarks/grid_reconstruction.py --clips ../shared/data/grid_s1 \
        --out /tmp/grid --count 20

Each test clip is driven by its own speech, re-encoded as a 16 kHz mono wav; style and face
references are other clips of the speaker; landmarks are measured on the written mp4. Printed with
every figure: what another sentence of the speaker scores (chance) and what the real clip scores
after being written by the same writer (ceiling). A contact sheet shows real and re-spoken frames.
"""

import argparse
import json
import sys
import time
import wave
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.checkpoint import load_model
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.face.tracking import track_face
from lipsync_core.landmarks import LIPS, opening, tracked, width
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.writing import write_clip
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.pipeline import LipSyncSettings, Models, lip_sync, read_style
from lipsync_core.render.renderer import LipRenderer


def write_wav(path: Path, clip: Path) -> None:
    """The clip's sound as 16 kHz mono 16-bit."""
    samples = resample(read_audio(clip), 16_000).waveform.clamp(-1, 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).short().numpy().tobytes())


def read_frames(path: Path) -> torch.Tensor:
    clip = open_clip(path)
    return clip.frames(0, clip.frame_count)


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(a.numpy(), b.numpy())[0, 1])


def mouth_psnr(written: torch.Tensor, real: torch.Tensor, landmarks: torch.Tensor) -> float:
    """dB in the box of the real mouth's width plus 35 % of it on each side, mean over frames."""
    lips = landmarks[:, tracked(LIPS), :2]
    values = []
    for ours, theirs, points in zip(written, real, lips, strict=True):
        low, high = points.min(0).values, points.max(0).values
        margin = 0.35 * (high[0] - low[0])
        (x0, y0), (x1, y1) = ((low - margin).floor().int(), (high + margin).ceil().int())
        box = np.s_[max(y0, 0) : y1, max(x0, 0) : x1]
        values.append(-10 * torch.log10((ours[box] - theirs[box]).square().mean().clamp_min(1e-8)))
    return float(torch.stack(values).mean())


class Measured:
    """Landmarks and frames of one file."""

    def __init__(self, landmarker: FaceLandmarker, path: Path):
        self.frames = read_frames(path)
        self.track = track_face(landmarker, open_clip(path))
        self.scale = (
            1
            / (self.track.landmarks[:, tracked((33,))] - self.track.landmarks[:, tracked((263,))])
            .norm(dim=-1)
            .mean()
        )
        self.opening = opening(self.track.landmarks) * self.scale
        self.width = width(self.track.landmarks) * self.scale


def compare(written: Measured, real: Measured) -> dict[str, float]:
    count = min(len(written.frames), len(real.frames))
    return {
        "opening r": correlation(written.opening[:count], real.opening[:count]),
        "width r": correlation(written.width[:count], real.width[:count]),
        "opening spread": float(written.opening.std() / real.opening.std()),
        "mouth PSNR dB": mouth_psnr(
            written.frames[:count], real.frames[:count], real.track.landmarks[:count]
        ),
    }


def contact_sheet(path: Path, rows: list[tuple[Measured, Measured]]) -> None:
    """Real above re-spoken, ten frames each, around the face."""
    lines = []
    for real, written in rows:
        points = real.track.landmarks[..., :2].flatten(0, 1)
        low, high = points.min(0).values.int() - 15, points.max(0).values.int() + 15
        box = np.s_[max(low[1], 0) : high[1], max(low[0], 0) : high[0]]
        indices = np.linspace(8, min(len(real.frames), len(written.frames)) - 8, 10).astype(int)
        for measured in (real, written):
            tiles = [
                cv2.resize(
                    (measured.frames[i][box].numpy() * 255).astype(np.uint8),
                    (176, 200),
                    interpolation=cv2.INTER_CUBIC,
                )
                for i in indices
            ]
            lines.append(np.hstack(tiles))
    cv2.imwrite(str(path), np.vstack(lines)[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="the grid_s1 folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument(
        "--predictor", type=Path, default=weights.SHIPPED / "motion_predictor.safetensors"
    )
    parser.add_argument(
        "--renderer", type=Path, default=weights.SHIPPED / "lip_renderer_128.safetensors"
    )
    parser.add_argument("--steps", type=int, default=LipSyncSettings().steps)
    parser.add_argument("--no-style", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    splits = json.loads((arguments.clips / "splits.json").read_text())
    clip_path = lambda name: arguments.clips / "clips" / f"{name}.mp4"  # noqa: E731
    names = splits["test"][:: max(1, len(splits["test"]) // arguments.count)][: arguments.count]
    models = Models(
        FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER)),
        load_speech_encoder(weights.find(weights.SPEECH_ENCODER)),
        load_model(arguments.predictor, MotionPredictor),
        load_model(arguments.renderer, LipRenderer),
    )
    style = None
    for name in splits["validation"][:3]:
        style = read_style(
            models.landmarker,
            models.encoder,
            models.predictor,
            open_clip(clip_path(name)),
            extend=style,
            source="GRID speaker 1",
        )
    reference = open_clip(clip_path(splits["validation"][0]))

    def respeak(name: str, speech: str, out: Path) -> float:
        wav = arguments.out / f"{speech}.wav"
        write_wav(wav, clip_path(speech))
        settings = LipSyncSettings(
            steps=arguments.steps, strength=0.0 if arguments.no_style else 1.0
        )
        start = time.monotonic()
        result = lip_sync(
            models, open_clip(clip_path(name)), read_audio(wav), settings, style, reference
        )
        result.write(out)
        return result.clip.frame_count / (time.monotonic() - start)

    rows, sheets, cross, speeds = [], [], [], []
    for index, name in enumerate(names):
        real = Measured(models.landmarker, clip_path(name))
        other = names[(index + 1) % len(names)]
        out, crossed, copy = (
            arguments.out / f"{name}{kind}.mp4" for kind in ("", "_cross", "_copy")
        )
        speeds.append(respeak(name, name, out))
        respeak(name, other, crossed)
        clip = open_clip(clip_path(name))
        write_clip(copy, [real.frames], clip.fps, clip.height, clip.width, None, {})
        written = Measured(models.landmarker, out)
        row = {"respoken": compare(written, real)}
        row["ceiling"] = compare(Measured(models.landmarker, copy), real)
        row["chance"] = compare(Measured(models.landmarker, clip_path(other)), real)
        cross.append(correlation(Measured(models.landmarker, crossed).opening, written.opening))
        rows.append(row)
        if len(sheets) < 4:
            sheets.append((real, written))
            contact_sheet(arguments.out / "contact_sheet.png", sheets)
        print(name, json.dumps({k: round(v, 3) for k, v in row["respoken"].items()}), flush=True)
    for kind in ("respoken", "ceiling", "chance"):
        figures = {
            k: round(float(np.mean([row[kind][k] for row in rows])), 3) for k in rows[0][kind]
        }
        print(f"{kind:9s} {json.dumps(figures)}")
    print(f"two speeches on one clip: opening r between the outputs {np.mean(cross):.3f}")
    print(f"speed {np.median(speeds):.1f} frames/s with {arguments.threads} threads")


if __name__ == "__main__":
    main()
