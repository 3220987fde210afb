"""Streams of speech and lip motion: equal to the whole, at once, in bounded memory."""

import gc
import math
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
import torch
from synthetic_motion import SPEECH_WIDTH
from tiny_predictor import speech, style, tiny_predictor
from torch import Tensor

from lipsync_core.audio import streaming as audio_streaming
from lipsync_core.audio.features import encode_speech
from lipsync_core.audio.streaming import stream_speech
from lipsync_core.audio.whisper import WhisperSpeechEncoder
from lipsync_core.errors import SpeechError
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.motion.streaming import (
    look_ahead_seconds,
    look_ahead_steps,
    stream_lip_motion,
)
from lipsync_core.types import Audio, SpeechFeatures

RATE = 16_000


@pytest.fixture(scope="module")
def encoder() -> WhisperSpeechEncoder:
    """Whisper's encoder with random weights, two layers of width 32."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        max_source_positions=500,
        init_std=0.2,
    )
    return WhisperSpeechEncoder(WhisperEncoder(config), layers=(1, 2)).eval()


@pytest.fixture(scope="module", params=[None, 2], ids=["two-sided", "little ahead"])
def predictor(request) -> MotionPredictor:
    return tiny_predictor(ahead=request.param)


def sound(seconds: float) -> Tensor:
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    tone = torch.sin(2 * math.pi * (300 * time + 80 * torch.sin(2.3 * time)))
    return (tone * (0.2 + 0.2 * torch.sin(7 * time) * torch.sin(0.9 * time))).float()


def blocks_of(speech: SpeechFeatures, sizes: Iterable[int]) -> Iterator[SpeechFeatures]:
    first = 0
    for size in sizes:
        yield replace(speech, features=speech.features[first : first + size])
        first += size
    if first < len(speech.features):
        yield replace(speech, features=speech.features[first:])


def held_bytes() -> int:
    """Of all tensors alive."""
    gc.collect()
    storages = [o.untyped_storage() for o in gc.get_objects() if type(o) is Tensor]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


class Source:
    """Hands blocks on, counts what was taken, and knows whether it was left open."""

    def __init__(self, blocks: Iterable):
        self.blocks, self.taken, self.open = blocks, 0, False
        self.last = lambda: None

    def __iter__(self):
        self.open = True
        try:
            for block in self.blocks:
                tensor = getattr(block, "features", block)
                self.taken += len(tensor)
                self.last = weakref.ref(tensor)
                yield block
                del block, tensor
        finally:
            self.open = False


# Sound to features


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [(0.04, [1, 639]), (9.0, [144_000]), (9.01, [7, 100_000]), (25.3, [160_001, 0, 1, 160_000])],
)
def test_features_of_a_stream_are_those_of_the_whole(encoder, seconds, sizes):
    waveform = sound(seconds)
    sizes = [*sizes, len(waveform) - sum(sizes)]
    streamed = torch.cat([s.features for s in stream_speech(encoder, waveform.split(sizes))])
    whole = encode_speech(encoder, Audio(waveform, RATE))
    assert torch.allclose(streamed, whole.features, atol=1e-5)


def test_a_window_is_heard_once_and_as_soon_as_it_can_be(encoder):
    calls = []
    hook = encoder.register_forward_hook(lambda *_: calls.append(1))
    source = Source(sound(19).split(4000))
    given, heard = [], []
    for said in stream_speech(encoder, source):
        assert said.encoder == encoder.id
        given.append(len(said.features))
        heard.append(source.taken / RATE)
    hook.remove()
    assert given == [200, 200, 75] and len(calls) == 3
    assert heard == [9.0, 17.0, 19.0]
    assert heard[0] == audio_streaming.LOOK_AHEAD_SECONDS
    assert audio_streaming.LOOK_AHEAD_STEPS == 225


def test_a_stream_of_sound_holds_a_window_and_a_block(encoder):
    before, most, block = held_bytes(), 0, 3 * RATE
    blocks = (torch.full((block,), 0.1 * (i % 5)) for i in range(20))
    for _ in stream_speech(encoder, blocks):
        most = max(most, held_bytes() - before)
    assert most <= 4 * (10 * RATE + 3 * block + 2 * 200 * encoder.width)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([], r"0\.0 ms.*at least 40 ms"),
        ([torch.zeros(80), torch.zeros(80)], r"10\.0 ms"),
        ([torch.zeros(RATE), torch.full((9,), torch.nan)], r"NaN.* 1\.00 s"),
    ],
)
def test_a_stream_without_speech_is_refused(encoder, blocks, words):
    with pytest.raises(SpeechError, match=words):
        list(stream_speech(encoder, blocks))


# Features to motion


@pytest.mark.parametrize("sizes", [[300], [1] * 60, [97, 0, 3, 50], [299]])
@pytest.mark.parametrize("strength", [0.0, 1.0, 1.5])
def test_motion_of_a_stream_is_that_of_the_whole(predictor, sizes, strength):
    said = speech(300)
    streamed = list(stream_lip_motion(predictor, blocks_of(said, sizes), style(30), strength))
    whole = predict_lip_motion(predictor, said, style(30), strength)
    joined = torch.cat([motion.coefficients for motion in streamed])
    assert torch.allclose(joined, whole.coefficients, atol=1e-5)
    assert all(m.valid.all() and m.basis == whole.basis for m in streamed)


def test_short_speech_streams_too(predictor):
    """Shorter than the look-ahead: all of it comes when it ends."""
    for steps in (1, 7):
        streamed = [m.coefficients for m in stream_lip_motion(predictor, [speech(steps)])]
        whole = predict_lip_motion(predictor, speech(steps))
        assert torch.allclose(torch.cat(streamed), whole.coefficients, atol=1e-5)


def test_motion_comes_as_soon_as_it_is_known(predictor):
    ahead = look_ahead_steps(predictor)
    assert ahead == 2 * 2 * predictor.attention_band.ahead + 2
    assert look_ahead_seconds(predictor) == ahead / 25
    source, given = Source(blocks_of(speech(90), [1] * 90)), 0
    for motion in stream_lip_motion(predictor, source):
        given += len(motion.coefficients)
        assert given == (source.taken - ahead if given < 90 - ahead else given)
        if given == 90 - ahead:
            break
    assert source.taken == 90


def test_a_stream_of_motion_holds_its_reach_and_a_block(predictor):
    reference, block = style(30), 40
    before, most = held_bytes(), 0
    blocks = (speech(block, seed) for seed in range(25))
    for number, _ in enumerate(stream_lip_motion(predictor, blocks, reference)):
        if number % 5 == 4:
            most = max(most, held_bytes() - before)
    config = predictor.config
    steps = sum(predictor.encoder_reach) + sum(predictor.decoder_reach) + 4 * block
    tables = 4 * 2 * 32 * config.width
    width = max(config.width, SPEECH_WIDTH)
    assert most <= 4 * (steps * width + tables)


def test_strangers_and_silence_are_refused(predictor):
    nothing = replace(speech(9), features=speech(9).features[:0])
    with pytest.raises(SpeechError, match="at least 40 ms"):
        list(stream_lip_motion(predictor, []))
    with pytest.raises(SpeechError, match="at least 40 ms"):
        list(stream_lip_motion(predictor, [nothing, nothing]))
    with pytest.raises(SpeechError, match="at least 40 ms"):
        predict_lip_motion(predictor, nothing)
    stranger = replace(speech(10), encoder="whisper-tiny:2+4")
    with pytest.raises(ValueError, match=r"whisper-tiny:2\+4"):
        list(stream_lip_motion(predictor, [speech(10), stranger]))


# Both


def test_sound_streams_to_motion(encoder):
    predictor, waveform = tiny_predictor(encoder.id, encoder.width), sound(21)
    heard = stream_speech(encoder, waveform.split(50_000))
    streamed = [motion.coefficients for motion in stream_lip_motion(predictor, heard)]
    whole = predict_lip_motion(predictor, encode_speech(encoder, Audio(waveform, RATE)))
    assert len(streamed) > 2
    assert torch.allclose(torch.cat(streamed), whole.coefficients, atol=1e-5)


def test_a_closed_stream_leaves_nothing(encoder):
    predictor = tiny_predictor(encoder.id, encoder.width)
    before = held_bytes()
    source = Source(torch.zeros(4 * RATE) for _ in range(100))
    stream = stream_lip_motion(predictor, stream_speech(encoder, source))
    motion = next(stream)
    assert source.open and source.taken == 12 * RATE
    stream.close()
    del motion
    assert not source.open and source.last() is None
    assert held_bytes() <= before


def test_each_stream_begins_anew(encoder):
    """Nothing of an abandoned stream gets into the next one."""
    waveform = sound(10)
    abandoned = stream_speech(encoder, [torch.rand(12 * RATE), waveform])
    next(abandoned)
    streamed = torch.cat([s.features for s in stream_speech(encoder, [waveform])])
    whole = encode_speech(encoder, Audio(waveform, RATE)).features
    assert torch.allclose(streamed, whole, atol=1e-5)
