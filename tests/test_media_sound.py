"""Sound of any file as one channel and as it is; resampling."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from synthetic_media import clicks, first_click, tone, write_numbered_video, write_sound

from lipsync_core.errors import MediaError
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.writing import write_clip
from lipsync_core.types import Audio


def frequency(audio: Audio) -> float:
    spectrum = torch.fft.rfft(audio.waveform * torch.hann_window(len(audio.waveform))).abs()
    return float(spectrum.argmax()) * audio.sample_rate / len(audio.waveform)


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_has_the_same_scale(tmp_path, codec):
    sound = tone(440, 0.5, 16000)
    heard = read_audio(write_sound(tmp_path / "sound.wav", sound, codec))
    assert heard.sample_rate == 16000 and heard.waveform.dtype == torch.float32
    assert len(heard.waveform) == 8000
    tolerance = {"pcm_u8": 1.1 / 128, "pcm_s16le": 1.1 / 32768}.get(codec, 1e-6)
    assert (heard.waveform - sound.waveform).abs().max() <= tolerance


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp3", "libmp3lame", 44100), ("a.m4a", "aac", 48000), ("a.flac", "flac", 22050),
        ("a.ogg", "libopus", 48000), ("a.mka", "aac", 16000), ("a.wav", "pcm_s16le", 8000),
    ],
)  # fmt: skip
def test_any_container_begins_at_its_first_sample_and_lasts_as_long(tmp_path, name, codec, rate):
    heard = read_audio(write_sound(tmp_path / name, clicks([0.25], 1.0, rate), codec))
    assert heard.sample_rate == rate
    assert first_click(heard) == pytest.approx(0.25, abs=1e-3)
    assert 1.0 <= heard.duration + 1e-6 <= 1.0 + 2 * 1152 / rate


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac", "libmp3lame"])
def test_channels_are_averaged(tmp_path, codec):
    sound = tone(440, 0.5, 44100)
    name = {"pcm_s16le": "a.wav", "aac": "a.m4a", "libmp3lame": "a.mp3"}[codec]
    heard = read_audio(write_sound(tmp_path / name, sound, codec, (1.0, 0.5)))
    middle = slice(8000, 16000)
    ratio = heard.waveform[middle].std() / sound.waveform[middle].std()
    # LAME lowers all by 5 % so that nothing clips.
    assert float(ratio) == pytest.approx(0.7125 if codec == "libmp3lame" else 0.75, abs=0.01)
    assert frequency(heard) == pytest.approx(440, abs=3)


def test_the_sound_of_a_video_is_read_whole(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 10, audio=clicks([0.9], 1.2))
    heard = read_audio(path)
    assert first_click(heard) == pytest.approx(0.9, abs=1e-3)
    assert heard.duration == pytest.approx(1.2, abs=1024 / 48000)


def test_a_file_without_sound_is_refused(tmp_path):
    with pytest.raises(MediaError, match="no sound"):
        read_audio(write_numbered_video(tmp_path / "clip.mp4", 5))
    empty = write_sound(tmp_path / "empty.wav", Audio(torch.zeros(1), 16000), "pcm_s16le")
    data = bytearray(empty.read_bytes()[:-2])
    empty.write_bytes(data)
    with pytest.raises(MediaError):
        read_audio(empty)


@pytest.mark.parametrize("content", [b"", b"hello, this is no sound" * 50, bytes(2000)])
def test_a_file_that_is_no_media_is_refused_by_name(tmp_path, content):
    path = tmp_path / "speech.wav"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"speech\.wav"):
        read_audio(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(MediaError, match="no file"):
        read_audio(tmp_path / "nothing.wav")


@pytest.mark.parametrize("rates", [(44100, 16000), (8000, 16000), (48000, 44100), (16000, 16000)])
@pytest.mark.parametrize("duration", [0.005, 1.0, 2.34567])
def test_resampling_keeps_duration_and_pitch(rates, duration):
    sound = tone(440, duration, rates[0])
    other = resample(sound, rates[1])
    assert other.sample_rate == rates[1] and other.waveform.dtype == torch.float32
    assert len(other.waveform) == round(Fraction(len(sound.waveform) * rates[1], rates[0]))
    if duration >= 1:
        assert frequency(other) == pytest.approx(440, abs=1)
        middle = slice(len(other.waveform) // 4, -len(other.waveform) // 4)
        expected = tone(440, duration, rates[1]).waveform
        assert (other.waveform - expected[: len(other.waveform)])[middle].abs().max() < 5e-3


def test_resampling_nothing_gives_nothing():
    assert len(resample(Audio(torch.zeros(0), 16000), 8000).waveform) == 0


def test_samples_are_in_range_at_full_scale(tmp_path):
    loud = Audio(torch.tensor([1.0, -1.0] * 400), 8000)
    heard = read_audio(write_sound(tmp_path / "loud.wav", loud, "pcm_s16le"))
    assert np.abs(heard.waveform.numpy()).max() <= 1.0


def loud(count: int, rate: int = 44100) -> Audio:
    """A tone that every channel has at half the loudness of the one before."""
    sound = tone(440, 0.8, rate)
    channels = torch.stack([sound.waveform / 2**i for i in range(count)])
    return Audio(channels.mean(dim=0), rate, channels if count > 1 else None)


def loudness(audio: Audio) -> list[float]:
    channels = audio.waveform[None] if audio.channels is None else audio.channels
    return [float(channel[8000:16000].std()) for channel in channels]


@pytest.mark.parametrize("count", [1, 2, 6])
def test_channels_are_written_as_they_are(tmp_path, count):
    sound = loud(count)
    frames = [torch.zeros(20, 32, 32, 3)]
    write_clip(tmp_path / "out.mp4", frames, Fraction(25), 32, 32, sound)
    heard = read_audio(tmp_path / "out.mp4")
    # AAC cuts the low-frequency channel of 5.1 off above 120 Hz.
    kept = [i for i in range(count) if (count, i) != (6, 3)]
    found, given = loudness(heard), loudness(sound)
    assert len(found) == count
    assert [found[i] for i in kept] == pytest.approx([given[i] for i in kept], rel=0.05, abs=2e-3)
    between = open_clip(tmp_path / "out.mp4", start=0.2).audio()
    assert between is not None and len(loudness(between)) == count


def test_another_number_of_channels_is_written_as_one(tmp_path):
    sound = loud(3)
    write_clip(tmp_path / "out.mp4", [torch.zeros(20, 32, 32, 3)], Fraction(25), 32, 32, sound)
    heard = read_audio(tmp_path / "out.mp4")
    assert heard.channels is None
    assert loudness(heard) == pytest.approx([float(sound.waveform[8000:16000].std())], rel=0.05)


def test_channels_are_cut_and_resampled_with_the_waveform():
    sound = loud(2)
    part = sound.samples(1000, 30000)
    assert part.channels is not None and part.channels.shape == (2, 29000)
    assert torch.allclose(part.channels.mean(dim=0), part.waveform)
    slower = resample(part, 16000)
    assert slower.channels is not None and slower.channels.shape[1] == len(slower.waveform)
    assert torch.allclose(slower.channels.mean(dim=0), slower.waveform, atol=1e-6)
    alone = resample(Audio(part.waveform, 44100), 16000)
    assert torch.allclose(alone.waveform, slower.waveform, atol=1e-4)
