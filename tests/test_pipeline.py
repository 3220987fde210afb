"""The whole road with tiny random models: lengths, sizes, determinism, sound, cancelling."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
import tiny_renderer
import torch
from synthetic_face import humming, sway, syllables, talking_face
from tiny_models import MOTION_SIZE, tiny_predictor

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.errors import NoFaceError, SpeechError
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.mask_clip import mask_clip
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.pipeline import (
    LipSyncSettings,
    Models,
    chunks,
    covered_mouths,
    lip_sync,
    read_style,
)
from lipsync_core.render.renderer import LipRenderer
from lipsync_core.types import Audio

HEIGHT, WIDTH, FPS = 150, 200, Fraction(25)


@cache
def models() -> Models:
    predictor = tiny_predictor()
    config = replace(tiny_renderer.CONFIG, basis=predictor.config.basis, motion_dim=MOTION_SIZE)
    torch.manual_seed(1)
    return Models(
        FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER)),
        load_speech_encoder(weights.find(weights.SPEECH_ENCODER)),
        predictor,
        LipRenderer(config).eval().requires_grad_(False),
    )


@cache
def talking_clip(frame_count: int = 30, fps: Fraction = FPS, sound: bool = True) -> TensorClip:
    opening = syllables(frame_count, fps)
    face = talking_face(opening, sway(frame_count, HEIGHT, WIDTH, 1.0, fps), HEIGHT, WIDTH, fps)
    return TensorClip(face.frames, fps, humming(opening, fps) if sound else None)


def speech(seconds: float) -> Audio:
    sound = humming(syllables(round(seconds * 25), FPS, seed=3), FPS)
    return replace(sound, waveform=sound.waveform[: round(seconds * sound.sample_rate)])


def rendered(result) -> torch.Tensor:
    return torch.cat(list(result.frames()))


@pytest.mark.parametrize(
    "fps", [*map(Fraction, (25, 30, 50, 60)), Fraction(24000, 1001), Fraction(30000, 1001)], ids=str
)
def test_the_written_file_has_the_targets_size_and_rate_and_the_speechs_length(tmp_path, fps):
    clip, new = talking_clip(30, fps), speech(0.8)
    lip_sync(models(), clip, new, LipSyncSettings()).write(tmp_path / "out.mp4")
    written = open_clip(tmp_path / "out.mp4")
    assert (written.fps, written.height, written.width) == (fps, HEIGHT, WIDTH)
    assert written.frame_count == round(0.8 * fps)
    heard = read_audio(tmp_path / "out.mp4")
    assert abs(heard.duration - 0.8) <= 1024 / heard.sample_rate


def test_only_the_face_changes_and_it_does_change():
    clip = talking_clip()
    result = lip_sync(models(), clip, speech(1.0), LipSyncSettings())
    before, after = clip.frames(0, 25), rendered(result)
    changed = (before != after).any(-1)
    x, y = result.track.landmarks[:25, :, 0], result.track.landmarks[:25, :, 1]
    assert changed.flatten(1).any(1).all()
    rows, columns = changed.any(0).any(1).nonzero()[:, 0], changed.any(0).any(0).nonzero()[:, 0]
    reach = 0.5 * (x.max() - x.min())
    assert x.min() - reach < columns.min() and columns.max() < x.max() + reach
    assert y.min() < rows.min() and rows.max() < y.max() + reach


def test_the_same_seed_gives_the_same_frames_and_another_seed_others():
    results = [
        rendered(lip_sync(models(), talking_clip(), speech(0.4), LipSyncSettings(seed=seed)))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_chunks_do_not_change_the_frames(monkeypatch):
    result = lip_sync(models(), talking_clip(), speech(1.0), LipSyncSettings())
    whole = rendered(result)
    monkeypatch.setattr("lipsync_core.pipeline.CHUNK_BYTES", HEIGHT * WIDTH * 12 * 7)
    assert [span.stop - span.start for span in chunks(result.clip)] == [7, 7, 7, 4]
    assert (rendered(result) - whole).abs().max() < 0.02  # batches differ in bf16 rounding


def test_speech_longer_than_the_video_is_met_as_the_policy_says():
    clip, new = talking_clip(), speech(2.0)
    counts = {
        policy: lip_sync(models(), clip, new, LipSyncSettings(policy=policy))
        for policy in ("cut", "freeze", "ping-pong", "loop")
    }
    assert {policy: result.clip.frame_count for policy, result in counts.items()} == {
        "cut": 30, "freeze": 50, "ping-pong": 50, "loop": 50,
    }  # fmt: skip
    assert counts["cut"].speech.duration == pytest.approx(30 / 25, abs=1e-4)
    assert counts["freeze"].speech.duration == pytest.approx(2.0, abs=1e-4)


def test_without_a_style_the_videos_own_speech_is_the_style_and_a_silent_one_has_none():
    predictor = models().predictor
    own = lip_sync(models(), talking_clip(), speech(1.0), LipSyncSettings()).motion
    parts = models().landmarker, models().encoder, predictor
    style = read_style(*parts, talking_clip())
    given = lip_sync(models(), talking_clip(), speech(1.0), LipSyncSettings(), style).motion
    none = lip_sync(models(), talking_clip(sound=False), speech(1.0), LipSyncSettings()).motion
    null = lip_sync(models(), talking_clip(), speech(1.0), LipSyncSettings(strength=0.0)).motion
    assert not torch.allclose(own.coefficients, null.coefficients, atol=1e-5)
    assert torch.equal(none.coefficients, null.coefficients)
    assert (own.coefficients - given.coefficients).abs().mean() < 0.2 * (
        own.coefficients - null.coefficients
    ).abs().mean()


def test_frames_without_the_face_pass_through_untouched():
    frames = talking_clip().frames(0, 30).clone()
    frames[10:20] = 0.5
    clip = TensorClip(frames, FPS, None)
    result = lip_sync(models(), clip, speech(1.2), LipSyncSettings())
    after = rendered(result)
    assert torch.equal(after[10:20], frames[10:20])
    assert not torch.equal(after[:10], frames[:10])


def test_what_stands_in_front_of_the_face_stays_however_the_clip_is_fitted():
    """One mask per frame of the video as it comes in; the video is played back and forth."""
    clip = talking_clip()
    masks = torch.zeros(30, HEIGHT, WIDTH)
    masks[10:20] = 1
    result = lip_sync(
        models(), clip, speech(2.0), LipSyncSettings(), occluder=mask_clip(masks, clip)
    )
    before, after = result.clip.frames(0, 50), rendered(result)
    changed = (before != after).flatten(1).any(1)
    order = [*range(30), *range(28, 8, -1)]
    assert changed.tolist() == [not 10 <= frame < 20 for frame in order]


def test_masks_that_fit_another_video_are_refused_before_any_work():
    with pytest.raises(ValueError, match="29 occluder masks for a video of 30 frames"):
        lip_sync(
            models(),
            talking_clip(),
            speech(0.4),
            LipSyncSettings(),
            occluder=TensorClip(torch.zeros(29, HEIGHT, WIDTH, 3), FPS),
        )


def test_another_clip_of_the_face_can_be_the_reference():
    other = TensorClip(talking_clip().frames(0, 30).flip(0) * 0.5, FPS, None)
    settings = LipSyncSettings()
    own = rendered(lip_sync(models(), talking_clip(), speech(0.4), settings))
    with_other = rendered(lip_sync(models(), talking_clip(), speech(0.4), settings, None, other))
    assert not torch.equal(own, with_other)


def test_a_style_clip_without_sound_is_refused():
    parts = models().landmarker, models().encoder, models().predictor
    with pytest.raises(SpeechError, match="no sound"):
        read_style(*parts, talking_clip(sound=False))


def test_a_video_without_a_face_is_refused_and_leaves_no_file(tmp_path):
    grey = TensorClip(torch.full((10, HEIGHT, WIDTH, 3), 0.5), FPS, None)
    with pytest.raises(NoFaceError):
        lip_sync(models(), grey, speech(0.4), LipSyncSettings()).write(tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


class Cancelled(BaseException):
    """ComfyUI's interrupt is no Exception on newer cores."""


@pytest.mark.parametrize("stage", ["track", "render"])
def test_cancelling_in_either_pass_leaves_nothing_behind(tmp_path, stage):
    def cancel(done: int, total: int) -> None:
        if done >= 12:
            raise Cancelled

    out = tmp_path / "out.mp4"
    out.write_bytes(b"an older result")
    with pytest.raises(Cancelled):
        tracking = cancel if stage == "track" else None
        result = lip_sync(
            models(), talking_clip(), speech(1.2), LipSyncSettings(), on_progress=tracking
        )
        result.write(out, cancel)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["out.mp4"]
    assert out.read_bytes() == b"an older result"


def test_a_mouth_behind_a_hand_is_no_reference_and_tells_no_style():
    clip = talking_clip()
    hands = torch.zeros(clip.frame_count, HEIGHT, WIDTH)
    hands[:, HEIGHT // 2 :] = 1  # all below the eyes
    hands[[7, 8]] = 0
    bare, hidden = (
        lip_sync(models(), clip, speech(1.2), LipSyncSettings(), occluder=masks)
        for masks in (None, mask_clip(hands, clip))
    )
    covered = covered_mouths(mask_clip(hands, clip), bare.track)
    assert (~covered).nonzero()[:, 0].tolist() == [7, 8]
    assert len(bare.references.features) > len(hidden.references.features) == 2
    assert not torch.equal(bare.motion.coefficients, hidden.motion.coefficients)
    few = torch.zeros_like(hands)
    few[:, :4, :4] = 1
    assert not covered_mouths(mask_clip(few, clip), bare.track).any()
