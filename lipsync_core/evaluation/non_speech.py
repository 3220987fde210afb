"""What the lips do when nobody speaks: in pauses, and in sounds that are no speech.

Judged on predicted motion, before any picture. A pause is made of two real clips: speech, cut at
its last sound, then silence, then other speech, cut at its first. The real lips of the same clips,
about the same cuts, are what it is set beside. A sound is heard alone, after speech, and under
speech, where it must not keep the mouth shut.

Lip gaps are those of the inner lips above the person's neutral, in eye distances.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import EvaluationError
from ..landmarks import LIPS
from ..training.motion_clips import lip_gap
from ..training.sounds.waveforms import RATE, faded
from ..types import MOTION_RATE, Audio
from .alignments import phones_of, read_alignment, times_of
from .common_steps import MINIMUM_STEPS
from .motion_energy import BANDS, energy_of_points
from .mouth_closing import CLOSURE_LEAD
from .style_clips import StyleClip, correlation

Speak = Callable[[Audio], Float[Tensor, "t points 3"]]
"""Sound to the displacement of MOVING landmarks, eye distances."""

NEUTRAL_GAP = 0.03
"""Lips closer than this to their neutral gap count as closed."""
REAL_CLOSURES = 0.9
"""Quantile of the gaps at real p, b and m: the other meaning of closed."""
CLOSING_BAR = 3
"""Steps of 40 ms."""
PAUSE_SECONDS = 1.5
SOUND_SECONDS = 5.5
GAP_SECONDS = 0.2
_SETTLED = 0.4
"""Seconds of a sound after speech that are left to the lips to close."""
_AUDIBLE = 0.03
"""Of the loudest 10 ms: what is quieter is silence."""
_FADE = 0.01
_UNDER_SPEECH = 10 ** (-10 / 20)
"""Level of a sound under speech."""
_SLOW_BANDS = list(BANDS)[:2]
"""Up to 8 Hz."""


@dataclass(frozen=True)
class SpokenClip:
    """Real speech, where it begins and ends, and the real lips."""

    clip: StyleClip
    voice: Audio
    """From the first to the last sound, its ends faded."""
    start: float
    end: float
    """Seconds of its first and last sound in the clip."""


def spoken_clip(clip: StyleClip, audio: Audio) -> SpokenClip:
    """`clip` with what is said in its sound (16 kHz).

    Raises ValueError for another rate, EvaluationError when there is nothing to hear.
    """
    if audio.sample_rate != RATE:
        raise ValueError(f"sound of {audio.sample_rate} Hz, {RATE} is needed")
    step = RATE // 100
    waveform = audio.waveform[: len(audio.waveform) // step * step]
    loudness = waveform.unflatten(0, (-1, step)).std(dim=1)
    audible = (loudness > _AUDIBLE * loudness.max()).nonzero()
    if not len(audible):
        raise EvaluationError(f"{clip.name} is silent: give clips of people who speak")
    first, last = int(audible.min()), int(audible.max()) + 1
    voice = faded(waveform[first * step : last * step], _FADE)
    return SpokenClip(clip, Audio(voice, RATE), first / 100, last / 100)


def real_closures(clips: Sequence[StyleClip], alignments: Path) -> float:
    """The lip gap below which REAL_CLOSURES of these people's p, b and m are closed.

    The smallest gap within a step of 20 ms before the middle of the phone (mouth_closing).
    EvaluationError when the words hold none.
    """
    found = []
    for clip in clips:
        path = alignments / f"{clip.name}.align"
        if not path.is_file():
            continue
        gap = lip_gap(clip.displacement)
        for time in times_of(phones_of(read_alignment(path))).tolist():
            middle = round((time - CLOSURE_LEAD) * MOTION_RATE)
            around = slice(max(middle - 1, 0), middle + 2)
            if len(gap[around]) == 3 and clip.valid[around].all():
                found.append(gap[around].min())
    if not found:
        raise EvaluationError(f"no p, b or m of these clips in {alignments}: name their alignments")
    return float(torch.stack(found).double().quantile(REAL_CLOSURES))


# Pauses


@dataclass(frozen=True)
class Pause:
    """Speech, silence, speech: the sound, and between which steps nothing is said."""

    audio: Audio
    start: int
    """The first step after speech."""
    stop: int
    """The first step of the speech that follows."""


def cut_short(spoken: SpokenClip) -> SpokenClip:
    """The same speech, cut off where the real lips are furthest apart: in the midst of a word.

    Nobody's lips do that, and so no real ones are set beside it. Only the second half of the
    speech is looked at, so that enough is left of it.
    """
    middle = round((spoken.start + spoken.end) / 2 * MOTION_RATE)
    gap = lip_gap(spoken.clip.displacement)[middle : int(spoken.end * MOTION_RATE)]
    widest = (middle + int(gap.argmax())) / MOTION_RATE
    kept = spoken.voice.waveform[: round((widest - spoken.start) * RATE)]
    return replace(spoken, voice=Audio(faded(kept, _FADE), RATE), end=widest)


def make_pause(
    first: SpokenClip,
    second: SpokenClip,
    noise: float,
    generator: torch.Generator,
    seconds: float = PAUSE_SECONDS,
) -> Pause:
    """`noise` is the standard deviation of the room's noise under all, full scale 1."""
    spoken = first.voice.waveform
    silence = torch.zeros(round(seconds * RATE))
    sound = torch.cat([spoken, silence, second.voice.waveform])
    sound = sound + noise * torch.randn(len(sound), generator=generator)
    start = len(spoken) / RATE
    return Pause(Audio(sound, RATE), _step_after(start), int((start + seconds) * MOTION_RATE))


def _step_after(seconds: float) -> int:
    return math.ceil(seconds * MOTION_RATE - 1e-6)


def pause_figures(
    gap: Float[Tensor, " t"], start: int, stop: int, closed: float
) -> dict[str, float]:
    """How the lips close after `start` and part before `stop`, steps of 40 ms.

    "closing": steps from `start` until the gap is at most `closed`; the whole pause if it never is.
    "closes in 3 steps": 1 or 0. "opens early": steps before `stop` from which on the lips stay
    parted. "leaks": share of the steps between those two at which they are parted again.
    """
    shut = (gap[start:stop] <= closed).nonzero()[:, 0]
    if not len(shut):
        length = float(stop - start)
        return {"closing": length, "closes in 3 steps": 0.0, "opens early": length, "leaks": 1.0}
    first, last = int(shut[0]), int(shut[-1])
    return {
        "closing": float(first),
        "closes in 3 steps": float(first <= CLOSING_BAR),
        "opens early": float(stop - start - 1 - last),
        "leaks": 1 - len(shut) / (last - first + 1),
    }


def real_pause_figures(first: SpokenClip, second: SpokenClip, closed: float) -> dict[str, float]:
    """The same of the real lips: after the first clip's last sound, before the second's first.

    Figures of which the clip does not show enough are nan: people who stop to be filmed before
    they have closed their lips say nothing of how long that takes.
    """
    after = lip_gap(first.clip.displacement)[_step_after(first.end) :]
    before = lip_gap(second.clip.displacement)[: int(second.start * MOTION_RATE)]
    ends = pause_figures(after, 0, len(after), closed)
    starts = pause_figures(before, 0, len(before), closed)
    unknown = not bool((after <= closed).any())
    return {
        "closing": math.nan if unknown else ends["closing"],
        "closes in 3 steps": math.nan if len(after) <= CLOSING_BAR else ends["closes in 3 steps"],
        "opens early": starts["opens early"] if (before <= closed).any() else math.nan,
        "leaks": ends["leaks"],
    }


# Sounds


def motion_figures(displacement: Float[Tensor, "t points 3"], start: int = 0) -> dict[str, float]:
    """How much the lips move from step `start` on: the spread of the gap in eye distances, the
    motion energy below 8 Hz in (eye distances/s)^2, and the share of steps with parted lips."""
    moved = displacement[start:]
    gap = lip_gap(moved)
    energy = energy_of_points(moved[:, : len(LIPS)], torch.ones(len(moved), dtype=torch.bool))
    return {
        "spread": float(gap.std(correction=0)),
        "energy": sum(energy[name] for name in _SLOW_BANDS),
        "parted": float((gap > NEUTRAL_GAP).double().mean()),
    }


@dataclass(frozen=True)
class Scene:
    """One sound that is no speech, alone, after speech and under it."""

    alone: Audio
    after: Audio
    settled: int
    """The step of `after` from which on the lips have had time to close."""
    under: Audio
    """The speech 10 dB louder than the sound."""
    clear: Audio
    """The speech itself."""


def make_scene(sound: Audio, spoken: SpokenClip) -> Scene:
    """`sound` (16 kHz) as it is; after speech, as loud as it; and under speech."""
    speech = spoken.voice.waveform
    gap = torch.zeros(round(GAP_SECONDS * RATE))
    beside = sound.waveform * (_level(speech) / _level(sound.waveform))
    under = beside.repeat(-(-len(speech) // len(beside)))[: len(speech)]
    return Scene(
        alone=sound,
        after=Audio(torch.cat([speech, gap, beside]), RATE),
        settled=_step_after((len(speech) + len(gap)) / RATE + _SETTLED),
        under=Audio(speech + _UNDER_SPEECH * under, RATE),
        clear=spoken.voice,
    )


def babble(speak: Speak, scene: Scene, speech: Mapping[str, float]) -> dict[str, float]:
    """What `speak` makes of a sound.

    `speech` are the mean motion_figures of the same predictor's speech: "spread" and "energy" are
    shares of those, "parted" a share of the steps. "under speech r" and "under speech spread"
    compare the lip gap with that of the speech without the sound.
    """
    alone = _shares(motion_figures(speak(scene.alone)), speech)
    after = _shares(motion_figures(speak(scene.after), scene.settled), speech)
    clear, mixed = lip_gap(speak(scene.clear)), lip_gap(speak(scene.under))
    return {
        **alone,
        **{f"{name} after speech": value for name, value in after.items()},
        "under speech r": correlation(mixed, clear, torch.ones(len(clear), dtype=torch.bool)),
        "under speech spread": float(mixed.std() / clear.std()),
    }


def _level(waveform: Float[Tensor, " n"]) -> float:
    return max(float(waveform.square().mean().sqrt()), 1e-6)


def _shares(figures: Mapping[str, float], speech: Mapping[str, float]) -> dict[str, float]:
    return {
        name: value if name == "parted" else value / speech[name] for name, value in figures.items()
    }


def pieces(sounds: Sequence[Audio], seconds: float = SOUND_SECONDS) -> list[Audio]:
    """Recordings as pieces of up to `seconds`, at most two of each; short ones of a kind are laid
    end to end, .3 s apart. All at a root mean square of .05, so that a quiet file is heard."""
    length, pause = round(seconds * RATE), torch.zeros(round(0.3 * RATE))
    found, short = [], []
    for sound in sounds:
        waveform = sound.waveform * (0.05 / _level(sound.waveform))
        if len(waveform) > length // 2:
            found += waveform.split(length)[:2]
            continue
        short += [waveform, pause]
        if sum(map(len, short)) >= length // 2:
            found, short = [*found, torch.cat(short)], []
    if short:
        found.append(torch.cat(short))
    least = (MINIMUM_STEPS + 32) * RATE // MOTION_RATE
    return [Audio(_at_least(waveform, least), RATE) for waveform in found]


def _at_least(waveform: Float[Tensor, " n"], count: int) -> Float[Tensor, " m"]:
    return torch.nn.functional.pad(waveform, (0, max(0, count - len(waveform))))
