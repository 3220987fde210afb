"""Prepared clips heard again: other features, the same motion, each clip its own sound."""

import random

import pytest
import torch
from test_speech_features import chirps
from tiny_models import write_talking_face
from tiny_recogniser import SYMBOLS, arrays, write_hama

from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.errors import TrainingError
from lipsync_core.training.motion_clips import read_motion_clips
from lipsync_core.training.prepared import read_prepared, write_prepared
from tools.hear_again import hear_again, hear_alone, hear_in_track, sounds_of

STEPS = 30


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hama") / "tiny.hama"
    return load_speech_encoder(write_hama(path, arrays()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two clips of one person, one of another, and the videos they came from."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "videos").mkdir()
    for number, (name, person) in enumerate((("a", "ann"), ("b", "ann"), ("c", "bob"))):
        write_talking_face(folder / "videos" / f"{name}.mp4", STEPS, seed=number)
        generator = torch.Generator().manual_seed(number)
        tensors = {
            "crops": torch.zeros(STEPS, 4, 4, 3, dtype=torch.uint8),
            "neutral": torch.randn(77, 3, generator=generator),
            "canonical": torch.randn(STEPS, 57, 3, generator=generator),
            "valid": torch.ones(STEPS, dtype=torch.bool),
            "speech": torch.zeros(4, STEPS, 7).half(),
        }
        facts = {"fps": 25, "crop_size": 4, "frame_count": STEPS, "fingerprint": f"f{number}"}
        path = folder / "prepared" / "set" / f"{name}.safetensors"
        write_prepared(
            path, tensors, name=name, person=person, split="train", encoder="old", source="drawn",
            **facts,
        )  # fmt: skip
    return folder


def test_a_track_gives_each_clip_its_own_sound_at_its_own_steps(encoder):
    waveforms = [chirps(9.0 - 2 * i).waveform[1000 * i :] for i in range(3)]
    heard = hear_in_track(encoder, waveforms, random.Random(0))
    for waveform, features in zip(waveforms, heard, strict=True):
        alone = hear_alone(encoder, waveform)
        assert features.shape == alone.shape
        middle = slice(40, len(alone) - 40)
        own = (features[middle] - alone[middle]).abs().mean()
        late = (features[middle] - alone[middle].roll(3, dims=0)).abs().mean()
        assert own < 0.7 * late


def test_what_was_seen_stays_and_what_was_heard_changes(encoder, folder, tmp_path):
    clips = read_prepared(folder / "prepared")
    sounds = sounds_of(clips, [folder / "videos"])
    targets = {clip.name: tmp_path / f"{clip.name}.safetensors" for clip in clips}
    hear_again(clips, sounds, targets, encoder, 0)
    again = read_prepared(tmp_path)
    assert {clip.encoder for clip in again} == {encoder.id}
    for before, after in zip(clips, again, strict=True):
        assert (after.name, after.person, after.fingerprint) == (
            before.name, before.person, before.fingerprint,
        )  # fmt: skip
        assert not after.has("crops")
        assert torch.equal(after.read("canonical"), before.read("canonical"))
        speech = after.read("speech")
        assert speech.shape == (4, STEPS, SYMBOLS)
        assert not torch.equal(speech[0], speech[1]), "alone or in a track is not the same"
        change = [(speech[0] - speech[i]).float().abs().mean() for i in (1, 2, 3)]
        assert change[2] > max(change[:2]), "the fourth is in another voice"
    assert len(read_motion_clips(tmp_path, "train")) == 3
    written = {path: path.stat().st_mtime_ns for path in targets.values()}
    hear_again(clips, sounds, targets, encoder, 0)
    assert written == {path: path.stat().st_mtime_ns for path in targets.values()}


def test_missing_or_doubled_videos_are_named(folder, tmp_path):
    clips = read_prepared(folder / "prepared")
    write_talking_face(tmp_path / "a.mp4", 5)
    with pytest.raises(TrainingError, match="0 videos or recordings of b"):
        sounds_of(clips, [tmp_path])


def test_synthetic_heads_are_found_by_what_they_say(folder, tmp_path):
    clips = [clip for clip in read_prepared(folder / "prepared") if clip.name == "c"]
    facts = clips[0].path.with_suffix(".json")
    facts.write_text('{"speech": "flite-slt-003.wav"}')
    (tmp_path / "flite-slt-003.wav").touch()
    try:
        assert sounds_of(clips, [tmp_path]) == {"c": tmp_path / "flite-slt-003.wav"}
    finally:
        facts.unlink()
