"""The sync expert: learns which lips belong to which speech, finds offsets, says when it cannot."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic_motion import ENCODER, made_up_speech, spoken, write_made_up_clips

from lipsync_core.checkpoint import load_model, save_model
from lipsync_core.evaluation.style_clips import StyleClip, without_offset
from lipsync_core.evaluation.sync_trust import HeardLips, trust
from lipsync_core.landmarks import LIPS
from lipsync_core.sync.expert import (
    LANDMARKS,
    LOCAL_STEPS,
    PICTURE_HEIGHT,
    PICTURE_WIDTH,
    PIXELS,
    SyncExpert,
    SyncExpertConfig,
    local_mean,
)
from lipsync_core.sync.offset import MOST_OFFSET, agreement_curve, score_sync
from lipsync_core.sync.pictures import mouth_pictures
from lipsync_core.training.loop import LoopRecipe, train
from lipsync_core.training.sync_clips import SyncClip, clip_chances, read_sync_clips, repaired
from lipsync_core.training.sync_expert import PRESETS, build_sync_task, offset_loss, swap_loss
from lipsync_core.types import Audio, SpeechFeatures

RECIPE = replace(
    PRESETS["sync-tiny"],
    loop=LoopRecipe(steps=120, learning_rate=3e-3, warmup_steps=5, precision="no"),
    steps=40,
    windows=(5, 15),
    jitter=0.001,
    speech_noise=0.05,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    write_made_up_clips(folder, clips=16, steps=60)
    return folder


@pytest.fixture(scope="module")
def expert(prepared, tmp_path_factory) -> SyncExpert:
    torch.set_num_threads(1)
    task = build_sync_task(prepared, RECIPE)
    path = train(task, tmp_path_factory.mktemp("run"), RECIPE.loop, {"data": "made up"})
    return load_model(path, SyncExpert)


def said(seed: int, steps: int = 120) -> tuple[torch.Tensor, SpeechFeatures]:
    speech = made_up_speech(steps, torch.Generator().manual_seed(seed))
    return spoken(speech)[:, : len(LIPS)], SpeechFeatures(speech, ENCODER)


def shifted(lips, speech, shift):
    """Lips `shift` steps later than they were."""
    late, early = max(shift, 0), max(-shift, 0)
    return lips[early:], replace(speech, features=speech.features[late:])


def everywhere(lips):
    return torch.ones(len(lips), dtype=torch.bool)


@pytest.mark.parametrize("shift", [-6, -2, 0, 1, 5])
def test_planted_shifts_are_found(expert, shift):
    found = []
    for seed in range(100, 106):
        lips, speech = shifted(*said(seed), shift)
        found.append(score_sync(expert, lips, everywhere(lips), speech).offset)
    assert sum(abs(f - shift) <= 1 for f in found) >= 5, found


def test_swapped_speech_scores_lower(expert):
    for seed in range(110, 116):
        lips, own = said(seed)
        _, other = said(seed + 50)
        true, swapped = (score_sync(expert, lips, everywhere(lips), s) for s in (own, other))
        assert true.agreement > swapped.agreement
        assert true.confidence > swapped.confidence


def test_a_still_mouth_gives_no_confidence(expert):
    lips, speech = said(120)
    still = lips[:1].expand_as(lips).contiguous()
    valid = everywhere(lips)
    still_score = score_sync(expert, still, valid, speech)
    assert still_score.confidence < 0.5 * score_sync(expert, lips, valid, speech).confidence


def test_rest_shape_and_slow_drift_do_not_count(expert):
    lips, speech = said(121)
    other_face = lips + 0.05 * torch.randn(1, 40, 3, generator=torch.Generator().manual_seed(0))
    valid = everywhere(lips)
    first, second = (score_sync(expert, x, valid, speech) for x in (lips, other_face))
    assert second.confidence == pytest.approx(first.confidence, abs=1e-3)


def test_hidden_steps_do_not_count(expert):
    lips, speech = said(122)
    valid = everywhere(lips)
    valid[40:60] = False
    broken = lips.clone()
    broken[40:60] = 100.0
    clean = lips.clone()
    clean[40:60] = 0.0
    first, second = (score_sync(expert, x, valid, speech) for x in (clean, broken))
    assert first.confidence == pytest.approx(second.confidence, abs=1e-4)
    assert second.offset == 0


def test_too_short_or_foreign_speech_is_refused(expert):
    lips, speech = said(123, steps=20)
    with pytest.raises(ValueError, match="25 are needed"):
        score_sync(expert, lips, everywhere(lips), speech)
    lips, speech = said(123)
    with pytest.raises(ValueError, match="listens with"):
        score_sync(expert, lips, everywhere(lips), replace(speech, encoder="other"))


def test_an_offset_is_moved_back_and_the_unjudgeable_left_out(expert, prepared):
    clip = read_sync_clips(prepared, "validation", LANDMARKS)[0]
    late = replace(clip, lips=clip.lips[:-3], valid=clip.valid[:-3], speech=clip.speech[:, 3:])
    moved = repaired([late], expert, ENCODER)
    assert len(moved) == 1
    assert 0 <= len(late.valid) - len(moved[0].valid) - 3 <= 1
    short = replace(clip, lips=clip.lips[:10], valid=clip.valid[:10], speech=clip.speech[:, :10])
    assert repaired([short], expert, ENCODER) == []


def test_it_survives_its_file(expert, tmp_path):
    save_model(tmp_path / "expert.safetensors", expert, {}, dtype=torch.float32)
    again = load_model(tmp_path / "expert.safetensors", SyncExpert)
    lips, speech = said(124)
    first, second = (score_sync(e, lips, everywhere(lips), speech) for e in (expert, again))
    assert torch.equal(first.curve, second.curve)


def test_the_curve_peaks_where_embeddings_agree():
    generator = torch.Generator().manual_seed(0)
    speech = torch.nn.functional.normalize(torch.randn(60, 8, generator=generator), dim=1)
    lips = speech.roll(4, dims=0)
    curve = agreement_curve(lips, everywhere(lips), speech)
    assert int(curve.argmax()) - MOST_OFFSET == 4
    assert curve.max() == pytest.approx(1.0, abs=1e-5)


def test_the_losses_fall_when_lips_agree_with_their_own_speech():
    generator = torch.Generator().manual_seed(0)
    speech = torch.nn.functional.normalize(torch.randn(4, 40, 8, generator=generator), dim=-1)
    valid, sharpness = torch.ones(4, 40, dtype=torch.bool), torch.tensor(10.0)
    wrong = speech.roll(3, dims=1)
    assert offset_loss(speech, speech, valid, sharpness, (7,)) < 0.1
    assert offset_loss(wrong, speech, valid, sharpness, (7,)) > 2
    assert swap_loss(speech, speech, valid, sharpness) < 0.1
    assert swap_loss(speech.roll(1, dims=0), speech, valid, sharpness) > 2


def test_local_mean_follows_slow_movement_only():
    steps = 200
    ramp = torch.linspace(0, 1, steps)[None, :, None]
    valid = torch.ones(1, steps, dtype=torch.bool)
    inside = slice(LOCAL_STEPS, steps - LOCAL_STEPS)
    torch.testing.assert_close(local_mean(ramp, valid)[:, inside], ramp[:, inside])


def test_sources_and_people_share_chances():
    def clip(source, person, number):
        empty = torch.zeros(1, 1, 1).half()
        return SyncClip(
            f"{person}{number}", person, source, empty, torch.zeros(1, 40, 3),
            torch.ones(1, dtype=torch.bool),
        )  # fmt: skip

    clips = [clip("a", "anna", i) for i in range(16)] + [clip("b", "bert", i) for i in range(4)]
    chances = clip_chances(clips, 0.5)
    assert chances[:16].sum() / chances[16:].sum() == pytest.approx(2.0)
    assert clip_chances(clips, 1.0).std() == pytest.approx(0.0, abs=1e-6)


def test_mouth_pictures_show_the_mouth_at_every_crop_size():
    size = 128
    crop = torch.zeros(1, size, size, 3)
    crop[:, 88:91, 60:68] = 1.0  # the lips' middle lies .84 eye distances below the eyes
    picture = mouth_pictures(crop)
    assert picture.shape == (1, PICTURE_HEIGHT, PICTURE_WIDTH)
    row, column = divmod(int(picture[0].argmax()), PICTURE_WIDTH)
    assert abs(row - PICTURE_HEIGHT / 2) < 10 and abs(column - PICTURE_WIDTH / 2) < 4
    double = mouth_pictures(crop.repeat_interleave(2, 1).repeat_interleave(2, 2))
    assert (double - picture).abs().mean() < 0.01


def test_an_expert_may_see_pixels():
    torch.manual_seed(0)
    config = SyncExpertConfig(
        encoder=ENCODER, sees=PIXELS, speech_width=12, width=32, embedding=16, dilations=(1,)
    )
    pictures = torch.rand(40, PICTURE_HEIGHT, PICTURE_WIDTH)
    _, speech = said(1, steps=40)
    score = score_sync(SyncExpert(config).eval(), pictures, everywhere(pictures), speech)
    assert -MOST_OFFSET <= score.offset <= MOST_OFFSET


def test_trust_counts_what_is_found(expert):
    """Features stand in for the sound: one sample per step and channel."""

    def hear(audio):
        return SpeechFeatures(audio.waveform.reshape(-1, 12), ENCODER)

    clips = []
    for seed in range(4):
        lips, speech = said(200 + seed, steps=150)
        audio = Audio(speech.features.flatten(), 25 * 12)
        clips.append(HeardLips(str(seed), lips, everywhere(lips), audio))
    good = trust(expert, hear, clips, by_halves=False)
    assert good.found > 0.9 and good.auc_agreement > 0.9 and good.clips == 4
    assert trust(expert, hear, clips, by_halves=True).found > 0.8
    mute = [replace(c, lips=c.lips[:1].expand_as(c.lips).contiguous()) for c in clips]
    assert trust(expert, hear, mute, by_halves=False).found < 0.6


@pytest.mark.parametrize("shift", [-3, 4])
def test_a_style_clip_gets_its_sound_back(expert, shift):
    lips, speech = shifted(*said(130, steps=200), shift)
    steps = min(len(lips), len(speech.features))
    points = torch.cat([lips, torch.zeros(len(lips), 17, 3)], dim=1)[:steps]
    heard = replace(speech, features=speech.features[:steps])
    clip = StyleClip("late", "anna", heard, points, everywhere(points))
    moved = without_offset(clip, expert)
    assert abs(moved.offset - shift) <= 1
    assert moved.steps == len(moved.displacement) == len(moved.speech.features)
    assert moved.steps == steps - abs(moved.offset)
    again = score_sync(expert, moved.displacement[:, :40], moved.valid, moved.speech)
    assert abs(again.offset) <= 1
