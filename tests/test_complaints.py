"""What people complain of in other lip-sync packs, and that it cannot happen here: the method.

docs/rivals.md numbers the complaints and links to where they were made. The whole road runs in each
test, with tiny random weights; test_complaints_comfyui.py has what needs the real ComfyUI.
"""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from synthetic_face import sway, syllables, talking_face
from test_face_tracking import LEFT, clip_of, two_people
from test_pipeline import FPS, HEIGHT, WIDTH, models, rendered, speech, talking_clip
from torch import Tensor

from lipsync_core import weights
from lipsync_core.checkpoint import load_model
from lipsync_core.compositing.place import composite_mask
from lipsync_core.errors import ModelError
from lipsync_core.evaluation.picture_measures import PictureMeter
from lipsync_core.face.alignment import crop_faces, invert
from lipsync_core.face.choice import FaceChoice
from lipsync_core.face.tracking import track_face
from lipsync_core.landmarks import INNER_LEFT, INNER_LOWER, INNER_RIGHT, INNER_UPPER, tracked
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.media.writing import write_clip
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.pipeline import LipSyncSettings, Models, lip_sync
from lipsync_core.render.renderer import LipRenderer
from lipsync_core.steps import compose_frames
from lipsync_core.types import Audio, FaceTrack

SETTINGS = LipSyncSettings()
ROOT = Path(__file__).parents[1]


def test_complaint_1_frames_without_a_face_do_not_end_the_run(tmp_path):
    """LatentSyncWrapper#79, #199; LivePortraitKJ#78, #131, #85; LatentSync#107: "Face not
    detected", or frames that are dropped. Here no face is seen at the start, amidst and at the end;
    the file has all frames, and those are the video's own."""
    frames = talking_clip(30).frames(0, 30).clone()
    empty = [0, 1, 2, 13, 14, 15, 16, 28, 29]
    frames[empty] = torch.linspace(0.2, 0.8, WIDTH)[:, None].expand(WIDTH, 3)
    work = lip_sync(models(), TensorClip(frames, FPS), speech(1.2), SETTINGS)
    assert [i for i in range(30) if not work.track.visible[i]] == empty
    assert torch.equal(rendered(work)[empty], frames[empty])
    work.write(tmp_path / "out.mp4")
    written = open_clip(tmp_path / "out.mp4")
    assert written.frame_count == 30
    assert (written.frames(0, 30)[empty] - frames[empty]).abs().mean() < 0.01


MEMORY = """
import resource, sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from synthetic_face import sway, syllables, talking_face
from test_pipeline import FPS, lip_sync, models, speech
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.pipeline import LipSyncSettings

HEIGHT, WIDTH = 720, 960
opening = syllables(24, FPS)
face = talking_face(opening, sway(24, HEIGHT, WIDTH, 1.0, FPS), HEIGHT, WIDTH, FPS)
clip = TensorClip(face.frames, FPS)
peaks = []
for seconds in (1.92, 3.84):
    work = lip_sync(models(), clip, speech(seconds), LipSyncSettings())
    work.write(Path({folder!r}) / "out.mp4")
    assert work.clip.frame_count == 25 * seconds
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(peaks[1] - peaks[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module on Windows")
def test_complaint_2_memory_does_not_grow_with_the_video(tmp_path):
    """LatentSyncWrapper#75, #121, #128, #225; LatentSync#45, #248; WanVideoWrapper#1088, #1398,
    #1308. Peak memory of a process, from 48 to 96 frames; the 48 more would be 380 MiB as floats.
    benchmarks/memory_slope.py measures minutes of 1080p through ComfyUI."""
    folders = {"root": str(ROOT), "tests": str(ROOT / "tests"), "folder": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", MEMORY.format(**folders)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    assert float(told.stdout) < 64, "MiB"


def test_complaint_6_what_was_drawn_sharp_stays_sharp():
    """LatentSync#328, #158, #171; MuseTalk#335; DeepFuze#59: blurry mouths. How sharp a mouth is
    drawn is a matter of weights and is measured (docs/evaluation.md), not promised; what can be
    tested is that nothing after the drawing blurs it: stripes of two pixels, drawn over the mouth
    of a crop twice the face's size, come into the frame as sharp as a plain paste leaves them."""
    clip = talking_clip(3)
    track = track_face(models().landmarker, clip, crop_size=128).resized(256)
    crops = crop_faces(clip.frames(0, 3), track.frame_to_crop, 256)
    scale = float(track.frame_to_crop[0, :, :2].det().sqrt())
    stripe = torch.arange(256) / (2 * scale) % 2 < 1
    crops[:, 150:215, 96:160] = stripe[150:215, None, None].float() * 0.6 + 0.2
    (ours,) = compose_frames(clip, track, crops)
    contrast = [
        crop_faces(frames, track.frame_to_crop, 256)[:, 158:207, 104:152].std()
        for frames in (ours, pasted(clip.frames(0, 3), crops, track))
    ]
    assert contrast[0] > 0.8 * contrast[1]


def test_complaint_7_no_box_is_seen_around_the_mouth():
    """LatentSyncWrapper#132, #199; LipSick#8; Wav2Lip PR#762: a U-shaped or square edge. Crops of
    another tint are put back: the step across the mask's outline stays the frame's own, where a
    plain paste of the same crops shows (that the measure sees it is part of the test)."""
    clip = talking_clip(6)
    track = track_face(models().landmarker, clip, crop_size=128)
    frames = clip.frames(0, 6)
    tint = torch.tensor([0.06, 0.0, -0.05])
    crops = (crop_faces(frames, track.frame_to_crop, 128) + tint).clamp(0, 1)
    (composed,) = compose_frames(clip, track, crops)
    assert seam_step(composed, frames, track) < 1
    assert seam_step(pasted(frames, crops, track), frames, track) > 3


def seam_step(ours: Tensor, real: Tensor, track: FaceTrack) -> float:
    """Across the mask's outline, in grey levels of 255."""
    meter = PictureMeter(track)
    meter.add(ours, real, range(len(real)))
    return meter.figures()["seam step"]


def pasted(frames: Tensor, crops: Tensor, track: FaceTrack) -> Tensor:
    """The crops put back inside the mask as they are."""
    shown = torch.ones(len(frames))
    mask = composite_mask(track.frame_to_crop, crops.shape[1], shown, HEIGHT, WIDTH) > 0.5
    back = invert(track.frame_to_crop).double().numpy()
    turned = []
    for crop, matrix in zip(crops.numpy(), back, strict=True):
        matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
        turned.append(cv2.warpAffine(crop, matrix, (WIDTH, HEIGHT)))
    return torch.where(mask[..., None], torch.from_numpy(np.stack(turned)), frames)


def test_complaint_8_the_frame_is_coded_once_and_only_the_face_changes(tmp_path):
    """LatentSyncWrapper#32; LatentSync#67: the whole frame gets worse. Before coding, pixels off
    the face are the video's bit for bit; the file is as near to them as the same frames written
    once."""
    clip = talking_clip(25)
    frames = clip.frames(0, 25)
    work = lip_sync(models(), clip, speech(1.0), SETTINGS)
    off = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    x, y = work.track.landmarks[..., 0], work.track.landmarks[..., 1]
    reach = int(0.5 * (x.max() - x.min()))
    top, bottom = max(0, int(y.min())), int(y.max()) + reach
    off[top:bottom, max(0, int(x.min()) - reach) : int(x.max()) + reach] = False
    assert off.float().mean() > 0.3
    assert torch.equal(rendered(work)[:, off], frames[:, off])
    work.write(tmp_path / "ours.mp4")
    write_clip(tmp_path / "once.mp4", [frames], FPS, HEIGHT, WIDTH)
    errors = [
        float((open_clip(tmp_path / name).frames(0, 25) - frames)[:, off].square().mean())
        for name in ("ours.mp4", "once.mp4")
    ]
    assert errors[0] < 1.15 * errors[1], "more than one coding"


@pytest.mark.parametrize("count", [15, 17, 33])
def test_complaint_9_no_frame_is_lost_in_blocks_of_sixteen(tmp_path, count):
    """LatentSyncWrapper#49, #219; ComfyUI_wav2lip PR#26; ditto#36; LivePortrait#343: 25 fps forced,
    frames cut to whole blocks. At 30000/1001 frames a second the file has that rate, exactly so
    many frames, and sound as long as they last."""
    fps = Fraction(30000, 1001)
    said = speech(2.0)
    said = Audio(said.waveform[: round(count / fps * said.sample_rate)], said.sample_rate)
    lip_sync(models(), talking_clip(30, fps), said, SETTINGS).write(tmp_path / "out.mp4")
    written = open_clip(tmp_path / "out.mp4")
    assert (written.fps, written.frame_count) == (fps, count)
    heard = read_audio(tmp_path / "out.mp4")
    assert abs(heard.duration - float(count / fps)) <= 1024 / heard.sample_rate


def test_complaint_9_a_variable_frame_rate_does_not_drift(tmp_path):
    """The same issues. Frames of 20 to 60 ms: each frame of the result shows what the video showed
    at that time."""
    gaps = torch.randint(20, 61, (35,), generator=torch.Generator().manual_seed(4)).tolist()
    stamps = [sum(gaps[:i]) for i in range(36)]  # milliseconds
    opening = syllables(36, FPS)
    drawn = talking_face(opening, sway(36, HEIGHT, WIDTH, 1.0, FPS), HEIGHT, WIDTH, FPS).frames
    drawn[:, :24, :24] = torch.linspace(0, 1, 36)[:, None, None, None]  # tells its number
    write_variable(tmp_path / "in.mp4", drawn, stamps)
    clip = open_clip(tmp_path / "in.mp4")
    assert abs(clip.duration - (stamps[-1] + 40) / 1000) < 0.08
    said = speech(1.2)
    lip_sync(models(), clip, said, SETTINGS).write(tmp_path / "out.mp4")
    written = open_clip(tmp_path / "out.mp4")
    assert written.frame_count == round(1.2 * written.fps)
    numbers = 35 * written.frames(0, written.frame_count)[:, 4:20, 4:20].mean(dim=(1, 2, 3))
    for i, number in enumerate(numbers.tolist()):
        time = float(1000 * i / written.fps)
        shown = [max(k for k, at in enumerate(stamps) if at <= time + off) for off in (0, 1)]
        assert min(abs(number - k) for k in shown) < 0.6, f"frame {i}"


def write_variable(path: Path, frames: Tensor, stamps: list[int]) -> None:
    """An mp4 whose frames begin at `stamps`, milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for picture, stamp in zip((255 * frames).byte().numpy(), stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("index", [0, 1])
def test_complaint_14_the_face_that_is_chosen_is_the_one_that_moves(index):
    """LatentSync#207, #153; DeepFuze#47; LivePortraitKJ#68: the wrong one of several people."""
    clip = clip_of([two_people()] * 8)
    said = speech(0.3)
    choice = LipSyncSettings(face=FaceChoice(index=index))
    after = rendered(lip_sync(models(), clip, said, choice))
    changed = (after != clip.frames(0, len(after))).any(-1).any(0).any(0)
    border = int(LEFT[0] + 75)
    halves = changed[:border].any(), changed[border:].any()
    assert halves == (index == 0, index == 1)


@pytest.mark.shared
def test_complaint_15_the_mouth_is_shut_in_silence(shared):
    """LatentSync#28; MuseTalk#337, #257: lips that go on in silence. The shipped weights re-speak a
    real clip, whose own style is read, with half a sentence and a second of silence: of the frames
    drawn from three after the cut on, measured by the landmarker, at most one in twenty is open."""
    path = sorted((shared / "data/grid_s1/clips").glob("*.mp4"))[-1]
    clip, said = open_clip(path), resample(read_audio(path), 16_000).waveform
    cut = 25 + 18
    said = torch.cat([said[: cut * 640], torch.zeros(24 * 640)])
    work = lip_sync(shipped(), clip, Audio(said, 16_000), SETTINGS)
    frames = torch.cat(list(work.frames(frames=range(20, 66))))
    seen = track_face(models().landmarker, TensorClip(frames, clip.fps)).landmarks[..., :2]
    at = tracked((INNER_UPPER, INNER_LOWER, INNER_LEFT, INNER_RIGHT))
    upper, lower, left, right = (seen[:, i] for i in at)
    ratio = (upper - lower).norm(dim=-1) / (left - right).norm(dim=-1)
    silent = ratio[cut - 20 + 3 :]
    assert (ratio[: cut - 20] > 0.25).any(), "it must open in speech, or nothing is shown"
    assert (silent > 0.25).float().mean() <= 0.05


def shipped() -> Models:
    files = [weights.SHIPPED / f"{name}.safetensors" for name in ("motion_predictor",)]
    files += sorted(weights.SHIPPED.glob("lip_renderer*.safetensors"))[:1]
    if not all(file.is_file() for file in files) or len(files) < 2:
        pytest.skip("no shipped weights")
    tiny = models()
    try:
        return Models(
            tiny.landmarker, tiny.encoder, load_model(files[0], MotionPredictor),
            load_model(files[1], LipRenderer),
        )  # fmt: skip
    except ModelError as error:
        pytest.skip(str(error))


def test_also_complained_of_a_graphics_card_is_not_asked_for(monkeypatch):
    """LatentSync PR#359; StabilityMatrix#1283: CUDA only. On a machine where every call of
    torch.cuda fails, the road runs where the networks are."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("torch.cuda was asked")

    for name in ("current_device", "get_device_properties", "mem_get_info", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, refuse)
    monkeypatch.setattr(torch.Tensor, "cuda", refuse)
    monkeypatch.setattr(torch.nn.Module, "cuda", refuse)
    work = lip_sync(models(), talking_clip(10), speech(0.4), SETTINGS)
    assert rendered(work).device == torch.device("cpu")


def test_also_complained_of_a_silent_video_is_no_crash(tmp_path):
    """VHS PR#718: a clip without sound ends the run. It has no style of its own; the new speech is
    its sound."""
    clip = talking_clip(30, sound=False)
    assert clip.audio() is None
    lip_sync(models(), clip, speech(0.8), SETTINGS).write(tmp_path / "out.mp4")
    heard = read_audio(tmp_path / "out.mp4")
    assert heard.waveform.abs().max() > 0.05 and abs(heard.duration - 0.8) < 0.07


def test_also_complained_of_a_failure_half_way_is_an_error_and_no_video(tmp_path):
    """LatentSync#336: out of memory ends in a broken video instead of an error."""
    work = lip_sync(models(), talking_clip(30), speech(1.0), SETTINGS)

    def fail(done: int, total: int) -> None:
        raise torch.cuda.OutOfMemoryError("no memory is left")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        work.write(tmp_path / "out.mp4", fail)
    assert list(tmp_path.iterdir()) == []
