"""Lips where nobody speaks: figures of pauses and of babble say what was put in."""

from pathlib import Path

import pytest
import torch
from synthetic_motion import displacement

from lipsync_core.errors import EvaluationError
from lipsync_core.evaluation.non_speech import (
    SpokenClip,
    babble,
    cut_short,
    make_pause,
    make_scene,
    motion_figures,
    pause_figures,
    pieces,
    real_closures,
    real_pause_figures,
    spoken_clip,
)
from lipsync_core.evaluation.style_clips import StyleClip
from lipsync_core.training.sounds import draw_sound
from lipsync_core.types import Audio, SpeechFeatures

RATE = 16_000
STEP = RATE // 25


def clip_of(opening: torch.Tensor) -> StyleClip:
    """Real lips that open by `opening`."""
    moved = displacement(opening, torch.zeros(len(opening)))
    seen = torch.ones(len(opening), dtype=torch.bool)
    return StyleClip("a", "anna", SpeechFeatures(torch.zeros(len(opening), 4), "x"), moved, seen)


def spoken(opening: torch.Tensor | None = None) -> SpokenClip:
    """Three seconds: a voice from 0.8 to 2.2 s."""
    voice = draw_sound("laughter", 1.4, torch.Generator().manual_seed(1), level=0.05).waveform
    voice = voice + 0.02 * torch.randn(len(voice), generator=torch.Generator().manual_seed(2))
    quiet = torch.zeros(round(0.8 * RATE))
    audio = Audio(torch.cat([quiet, voice, quiet]), RATE)
    return spoken_clip(clip_of(torch.zeros(75) if opening is None else opening), audio)


def listener(audio: Audio) -> torch.Tensor:
    """Opens the mouth as loud as the sound is: knows no difference between speech and noise."""
    steps = -(-len(audio.waveform) // STEP)
    padded = torch.nn.functional.pad(audio.waveform, (0, steps * STEP - len(audio.waveform)))
    loud = padded.unflatten(0, (-1, STEP)).square().mean(dim=1).sqrt()
    return displacement(2 * loud, torch.zeros(steps))


def test_speech_is_found_between_its_first_and_last_sound():
    found = spoken()
    assert found.start == pytest.approx(0.8, abs=0.02)
    assert found.end == pytest.approx(2.2, abs=0.02)
    assert len(found.voice.waveform) == pytest.approx(1.4 * RATE, abs=0.03 * RATE)
    with pytest.raises(EvaluationError, match="silent"):
        spoken_clip(clip_of(torch.zeros(25)), Audio(torch.zeros(RATE), RATE))


def test_a_pause_is_as_long_as_said_and_where_said():
    pause = make_pause(spoken(), spoken(), 0.0, torch.Generator(), seconds=1.0)
    inside = pause.audio.waveform[pause.start * STEP : pause.stop * STEP]
    assert not inside.any() and len(inside) >= 0.92 * RATE
    before, after = (pause.start - 2) * STEP, (pause.stop + 2) * STEP
    assert pause.audio.waveform[before : before + STEP].any()
    assert pause.audio.waveform[after - STEP : after].any()
    noisy = make_pause(spoken(), spoken(), 1e-3, torch.Generator().manual_seed(0), seconds=1.0)
    inside = noisy.audio.waveform[noisy.start * STEP : noisy.stop * STEP]
    assert inside.std() == pytest.approx(1e-3, rel=0.05)


def test_speech_is_cut_where_the_lips_are_widest():
    opening = torch.full((75,), 0.01)
    opening[45], opening[25], opening[70] = 0.1, 0.2, 0.2
    whole = spoken(opening)
    cut = cut_short(whole)
    assert cut.end == pytest.approx(45 / 25)
    assert cut.voice.duration == pytest.approx(1.8 - whole.start, abs=1e-3)
    assert torch.equal(cut.voice.waveform[200:9600], whole.voice.waveform[200:9600])


def test_pauses_are_counted_in_steps():
    gap = torch.full((30,), 0.1)
    gap[12:20] = 0.0
    gap[15] = 0.1
    assert pause_figures(gap, start=10, stop=24, closed=0.03) == {
        "closing": 2.0,
        "closes in 3 steps": 1.0,
        "opens early": 4.0,
        "leaks": pytest.approx(1 / 8),
    }
    late = pause_figures(gap, start=6, stop=20, closed=0.03)
    assert late["closing"] == 6 and late["closes in 3 steps"] == 0 and late["opens early"] == 0
    never = pause_figures(gap, start=0, stop=10, closed=0.03)
    assert never["closing"] == never["opens early"] == 10 and never["leaks"] == 1


def test_real_lips_are_read_about_the_same_cuts():
    opening = torch.full((75,), 0.1)
    opening[:16], opening[60:] = 0.0, 0.0
    found = real_pause_figures(spoken(opening), spoken(opening), closed=0.03)
    # Speech from step 20 to step 55: parted 4 steps early, shut 5 steps late.
    assert found["closing"] == pytest.approx(5, abs=1)
    assert found["opens early"] == pytest.approx(4, abs=1)
    assert found["closes in 3 steps"] == 0
    never = real_pause_figures(spoken(torch.full((75,), 0.1)), spoken(), closed=0.03)
    assert never["closing"] != never["closing"], "a clip that ends with open lips tells nothing"


def test_closures_are_measured_where_words_have_them(tmp_path: Path):
    (tmp_path / "a.align").write_text("0 10000 sil\n10000 20000 bin\n20000 75000 sil\n")
    opening = torch.full((75,), 0.1)
    opening[8:13] = 0.004
    found = real_closures([clip_of(opening)], tmp_path)
    assert found == pytest.approx(0.004, abs=1e-4)
    with pytest.raises(EvaluationError, match="alignments"):
        real_closures([clip_of(opening)], tmp_path / "none")


def test_motion_is_none_in_a_mouth_that_rests():
    still = motion_figures(displacement(torch.full((60,), 0.01), torch.zeros(60)))
    assert still == {"spread": pytest.approx(0, abs=1e-6), "energy": pytest.approx(0), "parted": 0}
    time = torch.arange(100) / 25
    slow, fast = (
        motion_figures(displacement(0.05 * (1 + torch.sin(2 * torch.pi * f * time)), time * 0))
        for f in (4.0, 11.0)
    )
    assert slow["spread"] == pytest.approx(fast["spread"], rel=0.05)
    assert fast["energy"] < 0.2 * slow["energy"], "what is above 8 Hz is jitter, not babble"


def test_babble_tells_a_listener_from_a_sleeper():
    clip = spoken()
    speech = motion_figures(listener(clip.voice))
    sound = draw_sound("drums", 3.0, torch.Generator().manual_seed(0), level=0.1)
    scene = make_scene(sound, clip)
    loud = babble(listener, scene, speech)
    assert loud["spread"] > 0.5 and loud["energy"] > 0.5 and loud["spread after speech"] > 0.3
    assert 0.5 < loud["under speech r"] < 1

    def deaf_to_sounds(audio: Audio) -> torch.Tensor:
        moved = listener(scene.clear if audio is scene.under else audio)
        if audio is scene.alone:
            return 0 * moved
        return moved * (torch.arange(len(moved)) < scene.settled)[:, None, None]

    still = babble(deaf_to_sounds, scene, speech)
    assert still["spread"] == still["energy after speech"] == still["parted"] == 0
    assert still["under speech r"] == pytest.approx(1)


def test_recordings_are_cut_levelled_and_joined():
    long = Audio(0.001 * torch.randn(20 * RATE, generator=torch.Generator().manual_seed(0)), RATE)
    short = Audio(torch.sin(torch.arange(RATE) * 0.3), RATE)
    found = pieces([long, short, short], seconds=8.0)
    assert [len(piece.waveform) for piece in found[:2]] == [8 * RATE] * 2
    assert len(found) == 3 and found[2].duration == pytest.approx(2.6, abs=0.01)
    assert all(0.04 < float(p.waveform.square().mean().sqrt()) < 0.06 for p in found)
    assert pieces([Audio(torch.ones(100), RATE)])[0].duration > 1.5
