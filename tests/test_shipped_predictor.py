"""The predictor that comes with the pack: its size, and a mouth that closes when speech ends."""

import math

import pytest
import torch
from synthetic_motion import closed_face

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.checkpoint import load_model
from lipsync_core.errors import ModelError
from lipsync_core.landmarks import INNER_LEFT, INNER_LOWER, INNER_RIGHT, INNER_UPPER, MOVING
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.motion import prediction
from lipsync_core.motion.basis import motion_to_landmarks
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.motion.streaming import look_ahead_steps, stream_lip_motion
from lipsync_core.motion.style_file import load_style
from lipsync_core.types import Audio, LipMotion, SpeechFeatures

RATE = 16_000


@pytest.fixture(scope="module")
def predictor() -> MotionPredictor:
    path = weights.SHIPPED / "motion_predictor.safetensors"
    if not path.is_file():
        pytest.skip("no shipped predictor")
    return load_model(path, MotionPredictor)


@pytest.fixture(scope="module")
def encoder():
    try:
        return load_speech_encoder(weights.find(weights.SPEECH_ENCODER))
    except ModelError:
        pytest.skip("no speech encoder installed")


@pytest.fixture(scope="module")
def sentence(shared) -> torch.Tensor:
    """Three seconds of speech."""
    clips = sorted((shared / "data/grid_s1/clips").glob("*.mp4"))
    return resample(read_audio(clips[0]), RATE).waveform


def height_to_width(predictor: MotionPredictor, motion: LipMotion) -> torch.Tensor:
    points = motion_to_landmarks(motion, predictor.basis, closed_face())
    at = [points[:, MOVING.index(i)] for i in (INNER_UPPER, INNER_LOWER, INNER_LEFT, INNER_RIGHT)]
    return (at[0] - at[1]).norm(dim=-1) / (at[2] - at[3]).norm(dim=-1)


def test_is_small_and_knows_its_partners(predictor, encoder):
    assert sum(p.numel() for p in predictor.parameters()) < 8e6
    assert predictor.config.basis == predictor.basis.id
    assert predictor.config.encoder == encoder.id


@pytest.mark.shared
@pytest.mark.parametrize("noise", [0.0, 1e-4, 1e-3])
def test_silence_closes_the_mouth(predictor, encoder, sentence, noise):
    hiss = noise * torch.randn(4 * RATE, generator=torch.Generator().manual_seed(0))
    sound = Audio(torch.cat([sentence, hiss]), RATE)
    ratio = height_to_width(predictor, predict_lip_motion(predictor, encode_speech(encoder, sound)))
    end = math.ceil(len(sentence) / RATE * 25)
    assert ratio[:end].max() > 0.15, "speech must open it"
    assert (ratio[end + 3 :] < 0.25).float().mean() >= 0.95


def test_silence_alone_keeps_it_closed(predictor, encoder):
    speech = encode_speech(encoder, Audio(torch.zeros(3 * RATE), RATE))
    assert height_to_width(predictor, predict_lip_motion(predictor, speech)).max() < 0.25


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_windows_equal_the_whole(predictor, monkeypatch, strength):
    """Two minutes of features like those of speech, in one piece, as usual, and in odd cuts."""
    style = load_style(weights.SHIPPED / "demo_style.safetensors")
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(3000, predictor.config.speech_width, generator=generator)
    heard = heard * predictor.speech_scale + predictor.speech_mean
    speech = SpeechFeatures(heard, predictor.config.encoder)
    predicted = []
    for chunk in (3000, prediction.CHUNK, 701, 93):
        monkeypatch.setattr(prediction, "CHUNK", chunk)
        motion = predict_lip_motion(predictor, speech, style, strength)
        predicted.append(predictor.basis.displacement(motion.coefficients))
    for cut in predicted[1:]:
        assert (cut - predicted[0]).norm(dim=-1).max() < 1e-3


def test_a_stream_equals_the_whole(predictor):
    """In the blocks in which speech features come."""
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(650, predictor.config.speech_width, generator=generator)
    speech = SpeechFeatures(
        heard * predictor.speech_scale + predictor.speech_mean, predictor.config.encoder
    )
    style = load_style(weights.SHIPPED / "demo_style.safetensors")
    blocks = [SpeechFeatures(block, speech.encoder) for block in speech.features.split(200)]
    streamed = [motion.coefficients for motion in stream_lip_motion(predictor, blocks, style)]
    whole = predict_lip_motion(predictor, speech, style)
    assert torch.allclose(torch.cat(streamed), whole.coefficients, atol=1e-5)
    ahead = look_ahead_steps(predictor)
    assert [len(block) for block in streamed][:2] == [200 - ahead, 200]
