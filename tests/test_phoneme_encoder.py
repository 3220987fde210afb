"""The phoneme recogniser: read from its own file, heard as the original hears, refused when bad."""

import importlib.util
import math

import numpy as np
import pytest
import torch
from test_speech_features import chirps
from test_style_benchmarks import clip_of
from tiny_models import write_talking_face
from tiny_recogniser import BLOCKS, SYMBOLS, arrays, write_hama

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.audio.hama import read_hama
from lipsync_core.commands.speech_encoders import named_speech_encoder, speech_encoders
from lipsync_core.errors import ModelError
from lipsync_core.evaluation.clips import find_clips
from lipsync_core.evaluation.other_encoders import also_hear
from lipsync_core.types import Audio


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_hama(tmp_path_factory.mktemp("hama") / "tiny.hama", arrays())


@pytest.fixture(scope="module")
def encoder(path):
    return load_speech_encoder(path)


def test_the_file_is_read_as_it_was_written(path):
    read, written = read_hama(path), arrays()
    assert list(read) == list(written)
    for name, array in written.items():
        assert np.array_equal(read[name].numpy(), array.astype(np.float32)), name


def test_features_are_log_posteriors_at_25_hz(encoder):
    speech = encode_speech(encoder, chirps(3.3))
    assert speech.features.shape == (math.ceil(3.3 * 25), SYMBOLS) == (83, encoder.width)
    assert speech.encoder == encoder.id
    assert speech.features.isfinite().all() and speech.features.max() <= 0
    # The mean of two logarithms is never above the logarithm of the mean.
    total = speech.features.exp().sum(dim=1)
    assert (total < 1 + 1e-4).all() and total.median() > 0.5


def test_features_do_not_depend_on_how_long_audio_is_cut(encoder):
    audio = chirps(26.0)
    whole = encode_speech(encoder, audio).features
    later = encode_speech(encoder, Audio(audio.waveform[: 17 * 16_000], 16_000)).features
    assert torch.allclose(whole[: 16 * 25 - 25], later[: 16 * 25 - 25], atol=1e-4)


def test_every_array_of_the_file_is_heard(path, encoder, tmp_path):
    """A weight that is read but not used, or used twice, would not show in shapes."""
    audio = chirps(1.0)
    before = encode_speech(encoder, audio).features
    changed = arrays()
    for name in list(changed):
        other = dict(changed)
        if "in_proj_bias" in name:  # the keys' bias alone changes nothing: softmax ignores it
            other[name] = changed[name] + (np.arange(len(changed[name])) % 2).astype(np.float16)
        else:
            flip = np.where(np.arange(changed[name].size) % 2, 1.5, 0.6).reshape(
                changed[name].shape
            )
            other[name] = (changed[name] * flip).astype(changed[name].dtype)
        after = encode_speech(load_speech_encoder(write_hama(tmp_path / "x.hama", other)), audio)
        assert not torch.equal(after.features, before), name


@pytest.mark.parametrize("cut", [7, 40, 3000, -10])
def test_a_damaged_file_is_refused(path, tmp_path, cut):
    damaged = tmp_path / "damaged.hama"
    damaged.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"damaged\.hama"):
        load_speech_encoder(damaged)


def test_another_model_in_the_same_layout_is_refused(tmp_path):
    lacking = arrays()
    del lacking[f"acoustic_model.model.blocks.{BLOCKS - 1}.attn.in_proj_bias"]
    with pytest.raises(ModelError, match="phoneme recogniser"):
        load_speech_encoder(write_hama(tmp_path / "lacking.hama", lacking))
    with pytest.raises(ModelError, match="phoneme recogniser"):
        load_speech_encoder(write_hama(tmp_path / "other.hama", {"w": np.ones(3, np.float32)}))


needs_hama = pytest.mark.skipif(
    importlib.util.find_spec("hama") is None, reason="hama is not installed"
)


@needs_hama
def test_the_real_recogniser_hears_silence_as_blank():
    encoder = load_speech_encoder(weights.find(weights.PHONEME_ENCODER))
    speech = encode_speech(encoder, Audio(torch.zeros(32_000), 16_000))
    assert speech.features.shape == (50, 191)
    blank = 190
    assert (speech.features.argmax(dim=1) == blank).float().mean() > 0.9


def test_evaluation_clips_are_heard_by_the_encoder_a_predictor_needs(encoder, tmp_path):
    (tmp_path / "videos").mkdir()
    write_talking_face(tmp_path / "videos" / "a.mp4", 40, height=150, width=200)
    files = find_clips(tmp_path / "videos")
    clip = clip_of("a", "a", seed=0, steps=38)
    (heard,) = also_hear(encoder, files, [clip], tmp_path)
    speech = heard.heard_by(encoder.id)
    assert speech.features.shape == (38, SYMBOLS)
    assert heard.heard_by(clip.speech.encoder) is clip.speech
    part = heard.part(5, 20, "part")
    assert torch.equal(part.heard_by(encoder.id).features, speech.features[5:20])
    with pytest.raises(ValueError, match="other is needed"):
        heard.heard_by("other")

    (kept,) = tmp_path.glob("heard/*/a.safetensors")
    written = kept.stat().st_mtime_ns
    also_hear(encoder, files, [clip], tmp_path)
    assert kept.stat().st_mtime_ns == written, "heard again"


@needs_hama
def test_a_command_takes_an_encoder_by_file_and_refuses_unknown_ids(path, encoder):
    assert named_speech_encoder(str(path)).id == encoder.id
    with pytest.raises(ModelError, match="no speech encoder at"):
        named_speech_encoder("nobody")
    with pytest.raises(ModelError, match="made-up"):
        speech_encoders(["made-up:1"])
