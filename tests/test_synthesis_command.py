"""`synthesise` writes videos and motion that training reads; the depth of motion is a fit."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_head import arrays, tiny_map

from lipsync_core.__main__ import main
from lipsync_core.commands import synthesise
from lipsync_core.errors import ModelError
from lipsync_core.evaluation.clips import read_people
from lipsync_core.landmarks import MOVING
from lipsync_core.media.file_clip import open_clip
from lipsync_core.synthesis.face_kit import load_face_kit
from lipsync_core.synthesis.landmarker_depth import (
    fit_landmarker_depth,
    load_landmarker_depth,
    save_landmarker_depth,
)
from lipsync_core.synthesis.phones import TimedPhone, TimedSpeech, excerpt, write_timed_speech
from lipsync_core.synthesis.talking_style import TalkingStyle
from lipsync_core.training.motion_clips import by_person, read_motion_clips
from lipsync_core.types import Audio


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The command line up to --out, for a tiny kit and four short sentences of two voices."""
    folder = tmp_path_factory.mktemp("synthesise")
    np.savez(folder / "kit.npz", **arrays())
    for voice in ("ann", "bob"):
        for number in range(2):
            noise = torch.randn(16_000, generator=torch.Generator().manual_seed(number))
            symbols = ("sil", "b", "aa", "m", "iy", "sil")
            phones = tuple(TimedPhone(s, 0.16 * i, 0.16 * (i + 1)) for i, s in enumerate(symbols))
            speech = TimedSpeech(Audio(0.1 * noise, 16_000), phones)
            write_timed_speech(folder / "speech" / f"{voice}-{number}.wav", speech)
    kit, speech = folder / "kit.npz", folder / "speech"
    with pytest.MonkeyPatch.context() as patch:
        landmark_map = tiny_map(load_face_kit(kit))
        patch.setattr(synthesise, "load_landmark_map", lambda: landmark_map)
        yield ["synthesise", "--face-kit", str(kit), "--speech", str(speech), "--clips", "2"]


def test_motion_alone_is_read_by_training(command, tmp_path):
    arguments = [
        *command,
        "--clips",
        "4",
        "--heads",
        "1",
        "--styles",
        "2",
        "--motion-only",
        "--out",
    ]
    assert main([*arguments, str(tmp_path / "one")]) == 0
    clips = read_motion_clips(tmp_path / "one", "train")
    assert len(clips) == 8
    assert len(by_person(clips)) == 2
    for clip in clips:
        assert clip.displacement.shape == (25, len(MOVING), 3)
        assert clip.speech.shape == (1, 25, 768)
        assert clip.valid.all()
    facts = json.loads((tmp_path / "one" / f"{clips[0].name}.json").read_text())
    assert facts["person"] == clips[0].person
    TalkingStyle.from_dict(facts["style"])
    assert main([*arguments, str(tmp_path / "two")]) == 0
    again = read_motion_clips(tmp_path / "two", "train")
    for one, other in zip(clips, again, strict=True):
        assert torch.equal(one.displacement, other.displacement)


def test_people_differ_in_face_or_style(command):
    kit = load_face_kit(Path(command[2]))
    speech = sorted(Path(command[4]).glob("*.wav"))
    people = synthesise.draw_people(kit, speech, 2, 2, 2, 1.0, seed=0)
    assert torch.equal(people[0].head.identity, people[1].head.identity)
    assert not torch.equal(people[0].head.identity, people[2].head.identity)
    assert len({person.style for person in people}) == 4
    for person in people:
        assert len({path.stem.partition("-")[0] for path in person.speech}) == 1
        assert len(set(person.speech)) == 2


def test_videos_have_the_sound_and_size_that_was_asked_for(command, tmp_path):
    arguments = [*command, "--heads", "1", "--size", "48", "--out", str(tmp_path)]
    assert main(arguments) == 0
    videos = sorted(tmp_path.glob("*.mp4"))
    assert len(videos) == 2
    clip = open_clip(videos[0])
    assert (clip.frame_count, clip.height, clip.width, clip.fps) == (25, 48, 48, 25)
    audio = clip.audio()
    assert audio is not None
    assert audio.waveform.std() > 0.02
    facts = json.loads(videos[0].with_suffix(".json").read_text())
    assert facts["speech"].endswith(".wav")
    people = read_people(tmp_path / synthesise.PEOPLE_FILE)
    assert people == {video.stem: facts["person"] for video in videos}
    written = videos[0].stat().st_mtime_ns
    assert main(arguments) == 0
    assert videos[0].stat().st_mtime_ns == written


def test_short_clips_come_out_of_the_midst(command, tmp_path):
    arguments = [*command, "--heads", "2", "--size", "48", "--seconds", "0.4", "--out"]
    assert main([*arguments, str(tmp_path / "videos")]) == 0
    for video in (tmp_path / "videos").glob("*.mp4"):
        assert open_clip(video).frame_count == 10
    assert main([*arguments, str(tmp_path / "motion"), "--motion-only"]) == 0
    clips = read_motion_clips(tmp_path / "motion", "train")
    assert {clip.displacement.shape[0] for clip in clips} == {10}


def test_an_excerpt_keeps_its_phones_where_they_sound():
    symbols = ("sil", "b", "aa", "m")
    phones = tuple(TimedPhone(s, 0.2 * i, 0.2 * (i + 1)) for i, s in enumerate(symbols))
    speech = TimedSpeech(Audio(torch.arange(800) / 800, 1000), phones)
    part = excerpt(speech, 0.3, 0.7)
    assert torch.allclose(part.audio.waveform, speech.audio.waveform[300:700])
    assert [phone.symbol for phone in part.phones] == ["b", "aa", "m"]
    times = [time for phone in part.phones for time in (phone.start, phone.end)]
    assert times == pytest.approx([0.0, 0.1, 0.1, 0.3, 0.3, 0.4])
    for start, stop in ((-0.1, 0.5), (0.5, 0.5), (0.0, 0.9)):
        with pytest.raises(ValueError, match="speech of"):
            excerpt(speech, start, stop)


def test_a_missing_kit_is_said_plainly(command, tmp_path, capsys):
    arguments = [*command, "--out", str(tmp_path)]
    arguments[2] = str(tmp_path / "absent.npz")
    assert main(arguments) == 1
    assert "no face kit" in capsys.readouterr().err


def test_the_landmarkers_depth_is_found_from_what_it_reports(tmp_path):
    """A landmarker that makes its depth from the picture alone: the fit says what it reports."""
    generator = torch.Generator().manual_seed(0)
    shapes = torch.randn(6, len(MOVING) * 3, generator=generator)
    rule = 0.1 * torch.randn(len(MOVING) * 2, len(MOVING), generator=generator)
    true, measured = [], []
    for _ in range(4):
        mixed = torch.randn(80, 6, generator=generator) @ shapes
        points = 0.02 * mixed.view(80, len(MOVING), 3)
        depth = points[..., :2].flatten(1) @ rule + 0.07
        true.append(points)
        measured.append(torch.cat([points[..., :2], depth[..., None]], dim=-1))
    fit = fit_landmarker_depth(measured[:3], true[:3], ridge=1e-6)
    path = tmp_path / "depth.safetensors"
    save_landmarker_depth(path, fit)
    found = load_landmarker_depth(path).motion(true[3] - true[3].mean(dim=0))
    wanted = measured[3] - measured[3].mean(dim=0)
    assert torch.allclose(found, wanted, atol=1e-2 * float(wanted.abs().max()))
    with pytest.raises(ModelError, match="no fit"):
        load_landmarker_depth(tmp_path / "absent.safetensors")
