"""The same words in another voice: so that a predictor listens to what is said, not to who says it.

Pitch and formants move, a room answers, noise is added, a telephone's codec may come between. The
timing of the sound stays, so the lips that belong to it stay the same.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..types import Audio

_FFT, _HOP = 512, 128
_ENVELOPE_QUEFRENCIES = 28
"""Cepstral coefficients that make the spectral envelope: finer structure is the voice's pitch."""
_MU = 255.0
"""Of G.711's mu-law (https://www.itu.int/rec/T-REC-G.711)."""
_TELEPHONE_RATE = 8_000


@dataclass(frozen=True)
class VoiceRecipe:
    """How likely each change is, and how far it goes."""

    voice: float = 0.85
    """Pitch and formants, each by up to:"""
    semitones: float = 5.0
    formants: float = 0.2
    """Of the natural logarithm of the formants' frequencies."""
    room: float = 0.4
    reverberation: tuple[float, float] = (0.1, 0.5)
    """Seconds in which the room's answer falls by 60 dB."""
    noise: float = 0.5
    signal_to_noise: tuple[float, float] = (5.0, 30.0)
    """dB."""
    tilt: float = 0.4
    """A microphone that hears high tones louder or softer."""
    telephone: float = 0.2
    """8 kHz and mu-law."""
    gain: tuple[float, float] = (-20.0, 6.0)
    """dB, always."""


def another_voice(
    audio: Audio, generator: torch.Generator, recipe: VoiceRecipe | None = None
) -> Audio:
    """`audio` as another person might have been recorded saying it; as long as before."""
    recipe = recipe or VoiceRecipe()
    waveform, rate = audio.waveform.float(), audio.sample_rate

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def happens(chance: float) -> bool:
        return uniform(0.0, 1.0) < chance

    if happens(recipe.voice):
        waveform = shift_voice(
            waveform,
            rate,
            uniform(-recipe.semitones, recipe.semitones),
            uniform(-recipe.formants, recipe.formants),
        )
    if happens(recipe.room):
        waveform = _in_room(waveform, rate, uniform(*recipe.reverberation), generator)
    if happens(recipe.tilt):
        waveform = _tilted(waveform, uniform(-0.9, 0.9))
    if happens(recipe.noise):
        waveform = _with_noise(waveform, uniform(*recipe.signal_to_noise), generator)
    if happens(recipe.telephone):
        waveform = _by_telephone(waveform, rate)
    return Audio(waveform * 10 ** (uniform(*recipe.gain) / 20), rate)


def shift_voice(
    waveform: Float[Tensor, " n"], rate: int, semitones: float, formants: float
) -> Float[Tensor, " n"]:
    """Pitch up by `semitones`, formants by a factor of exp(`formants`), timing as it was.

    librosa's shift moves both; the spectral envelope (cepstral smoothing) is then moved back.
    """
    import librosa

    shifted = torch.from_numpy(
        librosa.effects.pitch_shift(waveform.numpy(), sr=rate, n_steps=semitones)
    )
    window = torch.hann_window(_FFT)
    spectrum = torch.stft(shifted, _FFT, _HOP, window=window, return_complex=True)
    envelope = _log_envelope(spectrum.abs())
    # Where an output bin's envelope is to be taken from: the pitch shift scaled it already.
    scale = 2 ** (semitones / 12) / torch.e**formants
    bins = torch.arange(len(envelope)) * scale
    lower = bins.long().clamp_max(len(envelope) - 1)
    upper = (lower + 1).clamp_max(len(envelope) - 1)
    wanted = torch.lerp(envelope[lower], envelope[upper], (bins - lower).clamp(0, 1)[:, None])
    gain = torch.exp((wanted - envelope).clamp(-3, 3))
    return torch.istft(spectrum * gain, _FFT, _HOP, window=window, length=len(waveform))


def _log_envelope(magnitude: Float[Tensor, "f t"]) -> Float[Tensor, "f t"]:
    log = magnitude.clamp_min(1e-5).log()
    cepstrum = torch.fft.irfft(log.to(torch.complex64), dim=0)
    kept = torch.zeros(len(cepstrum), 1)
    kept[:_ENVELOPE_QUEFRENCIES] = kept[-_ENVELOPE_QUEFRENCIES + 1 :] = 1
    return torch.fft.rfft(cepstrum * kept, dim=0).real


def _in_room(
    waveform: Float[Tensor, " n"], rate: int, seconds: float, generator: torch.Generator
) -> Float[Tensor, " n"]:
    """The direct sound, and noise that dies away: the tail never comes before it."""
    length = int(seconds * rate)
    tail = torch.randn(length, generator=generator)
    tail = tail * torch.exp(-6.9 * torch.arange(length) / length)
    tail[0] = 0
    response = tail * (0.5 / tail.norm().clamp_min(1e-6))
    response[0] = 1
    size = len(waveform) + length
    product = torch.fft.rfft(waveform, size) * torch.fft.rfft(response, size)
    return torch.fft.irfft(product, size)[: len(waveform)]


def _tilted(waveform: Float[Tensor, " n"], amount: float) -> Float[Tensor, " n"]:
    """First differences (amount > 0) raise high tones, sums of neighbours lower them."""
    before = nn.functional.pad(waveform[:-1], (1, 0))
    return waveform - amount * before


def _with_noise(
    waveform: Float[Tensor, " n"], decibels: float, generator: torch.Generator
) -> Float[Tensor, " n"]:
    """Noise whose power falls with frequency, between white and brown."""
    spectrum = torch.fft.rfft(torch.randn(len(waveform), generator=generator))
    slope = float(torch.rand((), generator=generator))
    spectrum = spectrum * torch.arange(1, len(spectrum) + 1) ** -slope
    noise = torch.fft.irfft(spectrum, len(waveform))
    level = waveform.square().mean().sqrt() / noise.square().mean().sqrt().clamp_min(1e-9)
    return waveform + noise * level * 10 ** (-decibels / 20)


def _by_telephone(waveform: Float[Tensor, " n"], rate: int) -> Float[Tensor, " n"]:
    import librosa

    narrow = librosa.resample(waveform.numpy(), orig_sr=rate, target_sr=_TELEPHONE_RATE)
    heard = torch.from_numpy(narrow)
    peak = heard.abs().max().clamp_min(1e-6)
    squeezed = torch.sign(heard) * torch.log1p(_MU * (heard / peak).abs())
    levels = (squeezed / torch.log1p(torch.tensor(_MU)) * 127).round() / 127
    back = torch.sign(levels) * ((1 + _MU) ** levels.abs() - 1) / _MU * peak
    wide = librosa.resample(back.numpy(), orig_sr=_TELEPHONE_RATE, target_sr=rate)
    return nn.functional.pad(torch.from_numpy(wide), (0, len(waveform)))[: len(waveform)]
