"""Sound that is read while it is used: the same as the whole, and never held whole."""

import tracemalloc
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from synthetic_media import clicks, tone, write_numbered_video, write_sound
from test_streaming import encoder, held_bytes  # noqa: F401

from lipsync_core.audio.features import check_sound, encode_speech, hear_speech
from lipsync_core.errors import MediaError, SpeechError
from lipsync_core.media import audio_file
from lipsync_core.media.audio_file import SoundBlock, open_sound, read_audio, resample
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.resampling import mixed, resampled
from lipsync_core.media.tensor_sound import TensorSound
from lipsync_core.media.trimming import trim_clip
from lipsync_core.media.writing import ClipWriter, write_clip
from lipsync_core.types import Audio, Sound


class Source(Sound):
    """Channels of a tensor in blocks of any size; counts how far it was read, and how often."""

    def __init__(self, channels: torch.Tensor, sample_rate: int, size: int = 1000):
        self.channels, self.sample_rate, self.size = channels, sample_rate, size
        self.taken = self.times = 0

    @property
    def sample_count(self) -> int:
        return self.channels.shape[1]

    @property
    def channel_count(self) -> int:
        return len(self.channels)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        self.times += 1
        self.taken = start
        for block in self.channels[:, start:stop].split(self.size, dim=1):
            self.taken += block.shape[1]
            yield block


def noise(channels: int, count: int) -> torch.Tensor:
    return 0.2 * torch.randn(channels, count, generator=torch.Generator().manual_seed(count))


# Resampling


@pytest.mark.parametrize(
    "rates", [(48000, 16000), (44100, 16000), (11025, 16000), (44100, 48000), (8000, 8000)]
)
@pytest.mark.parametrize(("count", "size"), [(3, 1), (777, 64), (100_003, 1024), (50_000, 50_000)])
def test_a_stream_is_resampled_as_the_whole_is(rates, count, size):
    channels = noise(2, count)
    whole = resample(Audio(channels.mean(0), rates[0], channels), rates[1])
    stream = resampled(Source(channels, rates[0], size), rates[1])
    assert (stream.sample_rate, stream.channel_count) == (rates[1], 2)
    assert stream.sample_count == len(whole.waveform)
    read = stream.read()
    assert whole.channels is not None and read.channels is not None
    assert (read.channels - whole.channels).abs().max() < 1e-6
    assert (read.waveform - whole.waveform).abs().max() < 1e-6


def sounds(folder) -> dict[str, Sound]:
    """One of every kind, in stereo."""
    channels = noise(2, 30_000)
    path = write_sound(folder / "a.wav", Audio(channels[0], 16000), "pcm_f32le", (1.0, 0.5))
    in_memory = Audio(channels.mean(0), 16000, channels)
    return {
        "audio": in_memory,
        "tensor": TensorSound(channels, 16000),
        "file": open_sound(path),
        "part": Source(channels, 16000).samples(500, 25_000),
        "resampled": resampled(in_memory, 24000),
        "mixed": mixed(in_memory),
    }


@pytest.mark.parametrize("kind", ["audio", "tensor", "file", "part", "resampled", "mixed"])
def test_any_part_can_be_read_alone(tmp_path, kind):
    sound = sounds(tmp_path)[kind]
    whole = sound.read_channels()
    assert whole.shape == (sound.channel_count, sound.sample_count) and whole.dtype == torch.float32
    for start, stop in ((0, 10), (1234, 20_001), (20_000, sound.sample_count), (7, 7)):
        part = sound.samples(start, stop)
        assert part.sample_count == stop - start
        assert torch.equal(part.read_channels(), whole[:, start:stop])
        assert torch.equal(part.samples(2, 5).read_channels(), whole[:, start:stop][:, 2:5])
        beyond = torch.cat([*part.blocks(0, 10**9), whole[:, :0]], dim=1)
        assert torch.equal(beyond, whole[:, start:stop])
    # A part that asks for more than there is ends with the sound.
    assert sound.samples(0, 10**9).sample_count == sound.sample_count
    assert torch.equal(torch.cat(list(sound.blocks(100)), dim=1), whole[:, 100:])


# Files


@pytest.mark.parametrize("codec", ["pcm_s16le", "aac"])
def test_a_file_is_held_a_block_at_a_time(tmp_path, codec):
    suffix = {"pcm_s16le": "wav", "aac": "m4a"}[codec]
    path = write_sound(tmp_path / f"a.{suffix}", tone(300, 20, 48000), codec, (1.0, 0.5))
    tracemalloc.start()  # sees numpy's arrays, which samples are until they are handed on
    sound = open_sound(path)
    place = sum(block.shape[1] for block in sound.blocks())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert place == sound.sample_count
    assert most < 400_000 < 2 * 4 * sound.sample_count / 15


def of_blocks(monkeypatch, *blocks: tuple[int, np.ndarray]) -> None:
    """Any file holds these samples at these places."""
    made = [SoundBlock(samples.astype(np.float32), start, 1000) for start, samples in blocks]
    monkeypatch.setattr(audio_file, "sound_blocks", lambda source: iter(made))


def test_gaps_are_silence_and_of_what_overlaps_the_first_stands(monkeypatch, tmp_path):
    ones = np.ones((1, 100))
    of_blocks(monkeypatch, (50, ones), (400, 2 * ones), (450, 3 * ones), (100, 4 * ones))
    heard = read_audio(tmp_path / "any").waveform
    expected = [(1, 100), (0, 250), (2, 100), (3, 50)]
    assert torch.equal(heard, torch.cat([torch.full((n,), float(v)) for v, n in expected]))
    part = audio_file.sound_between(tmp_path / "any", Fraction(4, 10), Fraction(2, 10))
    assert part is not None
    whole = torch.cat([torch.full((n,), float(v)) for v, n in [(2, 100), (3, 50), (0, 50)]])
    assert torch.equal(part.read().waveform, whole)


def test_a_track_that_changes_its_channels_is_one_channel(monkeypatch, tmp_path):
    stereo = np.stack([np.ones(100), np.zeros(100)])
    of_blocks(monkeypatch, (0, stereo), (100, np.ones((1, 100))), (200, stereo))
    sound = open_sound(tmp_path / "any")
    assert sound.channel_count == 1
    expected = torch.tensor([0.5, 1.0, 0.5]).repeat_interleave(100)
    assert torch.equal(sound.read().waveform, expected)
    # What comes after the part in question does not change it.
    part = audio_file.sound_between(tmp_path / "any", Fraction(0), Fraction(1, 20))
    assert part is not None and part.channel_count == 2


def test_a_clips_sound_is_its_audio(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 40, audio=clicks([0.2, 1.0], 1.4))
    for clip in (open_clip(path, start=0.4), trim_clip(open_clip(path), 0.4, 1.0)):
        sound, audio = clip.sound(), clip.audio()
        assert sound is not None and audio is not None and not isinstance(sound, Audio)
        assert sound.sample_count == round(clip.frame_count / clip.fps * 48000)
        assert torch.equal(sound.read().waveform, audio.waveform)
    assert open_clip(write_numbered_video(tmp_path / "silent.mp4", 5)).sound() is None


# Tensors


def test_a_tensor_is_not_copied():
    channels = noise(2, 300_000)
    sound = TensorSound(channels, 48000)
    assert sound.read_channels().data_ptr() == channels.data_ptr()
    before = held_bytes()
    for block in sound.blocks():
        assert block.untyped_storage().data_ptr() == channels.untyped_storage().data_ptr()
        assert held_bytes() == before
    half = TensorSound(channels.half(), 48000)
    assert all(block.dtype == torch.float32 for block in half.blocks())
    assert torch.equal(half.read_channels(), channels.half().float())


# Who listens


def test_features_of_a_file_are_those_of_its_whole_sound(encoder, tmp_path):  # noqa: F811
    """Mixed and resampled in blocks, or first of all: float noise."""
    time = torch.arange(20 * 44100) / 44100
    voice = Audio(0.3 * torch.sin(2 * torch.pi * (200 + 40 * torch.sin(3 * time)) * time), 44100)
    path = write_sound(tmp_path / "a.wav", voice, "pcm_f32le", (1.0, 0.3))
    whole = encode_speech(encoder, resample(Audio(read_audio(path).waveform, 44100), 16000))
    streamed = encode_speech(encoder, open_sound(path))
    assert streamed.features.shape == (500, encoder.width)
    assert (streamed.features - whole.features).abs().max() < 1e-4 * whole.features.std()


def test_hearing_holds_one_window(encoder):  # noqa: F811
    class Long(Source):
        """A minute and more that is made while it is read."""

        sample_count = 70 * 48000
        channel_count = 2

        def blocks(self, start=0, stop=None):
            for place in range(start, stop or self.sample_count, 4800):
                yield torch.full((2, 4800), 0.1 * (place // 4800 % 7))

    sound = Long(torch.zeros(2, 0), 48000)
    before, most, steps = held_bytes(), 0, 0
    for heard in hear_speech(encoder, sound):
        steps += len(heard.features)
        most = max(most, held_bytes() - before)
    assert steps == 70 * 25
    window, block = 10 * 16000, 3 * 4800
    assert most <= 4 * (3 * window + 2 * block + 2 * 200 * encoder.width)


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        (torch.zeros(2, 0), "empty"),
        (torch.zeros(2, 100), r"6\.2 ms.*at least 40 ms"),
        (torch.cat([noise(2, 50_000), torch.full((2, 1), torch.nan)], 1), "NaN or infinite"),
        (torch.tensor([[0.0] * 1000, [torch.inf] * 1000]), "NaN or infinite"),
    ],
)
def test_bad_sound_is_known_before_work_begins(channels, words):
    with pytest.raises(SpeechError, match=words):
        check_sound(Source(channels, 16000))


def test_good_sound_is_good():
    check_sound(Source(noise(2, 700), 16000))


# Who writes


def test_sound_is_read_as_far_as_it_is_written(tmp_path):
    source = Source(noise(2, 4 * 48000), 48000, 1000)
    with ClipWriter(tmp_path / "out.mp4", Fraction(25), 32, 32, source) as writer:
        assert source.times == 1, "read once before, to see whether it can be written"
        for frame in range(1, 76):
            writer.write(torch.zeros(1, 32, 32, 3))
            assert frame * 1920 <= source.taken <= frame * 1920 + 2 * 1024 + 1000
    assert source.times == 2 and source.taken == 4 * 48000


@pytest.mark.parametrize("size", [1, 999, 1024, 5000])
def test_the_file_does_not_depend_on_the_blocks(tmp_path, size):
    channels = noise(2, 3000)
    for name, sound in (
        ("whole", Audio(channels.mean(0), 48000, channels)),
        ("blocks", Source(channels, 48000, size)),
    ):
        write_clip(tmp_path / name, [torch.zeros(2, 32, 32, 3)], Fraction(25), 32, 32, sound)
    whole, blocks = (read_audio(tmp_path / name) for name in ("whole", "blocks"))
    assert whole.channels is not None and blocks.channels is not None
    assert torch.equal(whole.channels, blocks.channels)


def test_sound_that_cannot_be_written_is_refused_before_the_pictures(tmp_path):
    bad = Source(torch.cat([noise(1, 9000), torch.full((1, 1), torch.inf)], 1), 48000)
    with pytest.raises(ValueError, match="not finite"):
        ClipWriter(tmp_path / "out.mp4", Fraction(25), 32, 32, bad)


def test_a_sound_that_ends_early_is_an_error_not_a_crash(tmp_path):
    """A file that was changed while it was read."""
    path = write_sound(tmp_path / "a.wav", tone(300, 2, 16000), "pcm_s16le")
    sound = open_sound(path)
    path.write_bytes(b"no sound any more")
    with pytest.raises(MediaError, match=r"a\.wav"):
        sound.read()
