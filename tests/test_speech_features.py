"""The speech encoder and its features: both file layouts, a grid that ignores cuts, bad input."""

import math
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.errors import ModelError, SpeechError
from lipsync_core.types import Audio

RATE = 16_000


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random weights of Whisper-tiny's encoder."""
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=384,
        encoder_layers=4,
        encoder_attention_heads=6,
        encoder_ffn_dim=1536,
        init_std=0.06,
    )
    return {k: v.half() for k, v in WhisperEncoder(config).state_dict().items()}


@pytest.fixture(scope="module")
def encoder_path(weights, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whisper") / "model.safetensors"
    save_file({f"model.encoder.{k}": v for k, v in weights.items()}, path)
    return path


@pytest.fixture(scope="module")
def encoder(encoder_path):
    return load_speech_encoder(encoder_path)


def chirps(seconds: float, rate: int = RATE) -> Audio:
    """Sound that changes all the time: tones that glide and swell."""
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    tone = torch.sin(2 * math.pi * (300 * time + 80 * torch.sin(2.3 * time)))
    swell = 0.2 + 0.2 * torch.sin(7 * time) * torch.sin(0.9 * time)
    return Audio((tone * swell).float(), rate)


def write_ctranslate2(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Whisper's encoder in CTranslate2's layout, the projections of a layer in one."""
    variables: dict[str, np.ndarray] = {"encoder/num_heads": np.array(6, np.int16)}
    for side in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            variables[f"encoder/{side}/{kind}"] = weights[f"{side}.{kind}"].numpy()
    variables["encoder/position_encodings/encodings"] = weights["embed_positions.weight"].numpy()
    norms = {
        "layer_norm": "encoder/layer_norm",
        **{
            f"layers.{i}.{ours}": f"encoder/layer_{i}/{theirs}/layer_norm"
            for i in range(4)
            for ours, theirs in (
                ("self_attn_layer_norm", "self_attention"),
                ("final_layer_norm", "ffn"),
            )
        },
    }
    for ours, theirs in norms.items():
        variables[f"{theirs}/gamma"] = weights[f"{ours}.weight"].numpy()
        variables[f"{theirs}/beta"] = weights[f"{ours}.bias"].numpy()
    for i in range(4):
        for kind in ("weight", "bias"):
            parts = [
                weights.get(f"layers.{i}.self_attn.{p}_proj.{kind}", torch.zeros(384).half())
                for p in "qkv"
            ]
            layer = f"encoder/layer_{i}"
            variables[f"{layer}/self_attention/linear_0/{kind}"] = torch.cat(parts).numpy()
            for ours, theirs in (
                ("self_attn.out_proj", "self_attention/linear_1"),
                ("fc1", "ffn/linear_0"),
                ("fc2", "ffn/linear_1"),
            ):
                variables[f"{layer}/{theirs}/{kind}"] = weights[f"layers.{i}.{ours}.{kind}"].numpy()

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    types = {np.dtype(np.float16): 4, np.dtype(np.int16): 2}
    content = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        content += text(name) + struct.pack("<B", array.ndim)
        content += struct.pack(f"<{array.ndim}I", *array.shape)
        content += struct.pack("<BI", types[array.dtype], array.nbytes) + array.tobytes()
    path.write_bytes(content)


def test_both_layouts_hold_the_same_encoder(weights, encoder, tmp_path):
    path = tmp_path / "model.bin"
    write_ctranslate2(path, weights)
    audio = chirps(1.0)
    assert torch.equal(
        encode_speech(load_speech_encoder(path), audio).features,
        encode_speech(encoder, audio).features,
    )


def test_a_step_every_40_ms(encoder):
    for seconds, steps in ((0.04, 1), (1.0, 25), (1.01, 26), (2.995, 75)):
        speech = encode_speech(encoder, chirps(seconds))
        assert speech.features.shape == (steps, 768)
        assert torch.isfinite(speech.features).all()
    assert speech.encoder == encoder.id == "whisper-tiny:2+4"


def test_features_do_not_depend_on_what_is_far_away(encoder):
    whole = encode_speech(encoder, chirps(41)).features
    assert len(whole) == 41 * 25
    cut = encode_speech(encoder, replace(chirps(41), waveform=chirps(41).waveform[: 25 * RATE]))
    assert torch.allclose(cut.features[: 24 * 25], whole[: 24 * 25], atol=1e-4)
    # Cut on the grid, the later part is the same too but for the second of context.
    later = replace(chirps(41), waveform=chirps(41).waveform[16 * RATE :])
    assert torch.allclose(
        encode_speech(encoder, later).features[8 * 25 :], whole[24 * 25 :], atol=1e-4
    )


def test_a_change_moves_only_the_windows_that_hear_it(encoder):
    audio = chirps(30)
    changed = audio.waveform.clone()
    changed[20 * RATE : 21 * RATE] = 0
    before, after = (
        encode_speech(encoder, a).features for a in (audio, replace(audio, waveform=changed))
    )
    moved = (before - after).abs().amax(dim=1) > 1e-3
    assert moved[16 * 25 : 24 * 25].any()
    assert not moved[: 16 * 25].any() and not moved[24 * 25 :].any()


def test_the_time_of_a_sound_is_the_time_of_its_step(encoder):
    quiet, loud = torch.zeros(4 * RATE), chirps(4).waveform.clone()
    quiet[2 * RATE :] = loud[2 * RATE :]
    mel = encoder.log_mel(torch.nn.functional.pad(quiet, (RATE, 5 * RATE))[None])[0].mean(dim=0)
    first = int((mel > mel.min() + 0.2).nonzero()[0])
    assert abs(first - 300) <= 3  # 100 mel frames a second, 1 s of context


@pytest.mark.parametrize("gain", [0.01, 0.1, 3.0])
def test_loudness_does_not_matter(encoder, gain):
    audio = chirps(2)
    soft = replace(audio, waveform=audio.waveform * gain)
    reference = encode_speech(encoder, audio).features
    change = (encode_speech(encoder, soft).features - reference).norm() / reference.norm()
    assert change < 0.01


def test_faint_noise_is_not_raised_to_speech(encoder):
    noise = 1e-5 * torch.randn(10 * RATE, generator=torch.Generator().manual_seed(0))
    speech = chirps(10).waveform
    assert encoder.log_mel(noise[None]).max() < encoder.log_mel(speech[None]).max() - 0.5


def test_any_sample_rate(encoder):
    reference = encode_speech(encoder, chirps(3)).features
    for rate in (44_100, 48_000):
        features = encode_speech(encoder, chirps(3, rate)).features
        assert features.shape == reference.shape
        assert (features - reference).norm() / reference.norm() < 0.15


def test_progress_reaches_the_end_and_can_cancel(encoder):
    calls = []
    encode_speech(encoder, chirps(50), lambda done, total: calls.append((done, total)))
    assert calls == [(window, 7) for window in range(1, 8)]

    class Cancelled(BaseException):
        pass

    def cancel(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        encode_speech(encoder, chirps(1), cancel)


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (torch.zeros(0), "empty"),
        (torch.zeros(80), r"5\.0 ms.*at least 40 ms"),
        (torch.full((RATE,), torch.nan), "NaN or infinite"),
        (torch.full((RATE,), torch.inf), "NaN or infinite"),
    ],
)
def test_audio_without_speech_is_refused(encoder, waveform, words):
    with pytest.raises(SpeechError, match=words):
        encode_speech(encoder, Audio(waveform, RATE))


def test_bad_weight_files_are_refused(weights, encoder_path, tmp_path):
    with pytest.raises(ModelError, match="no speech encoder at"):
        load_speech_encoder(tmp_path / "absent.safetensors")

    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(encoder_path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="not a readable"):
        load_speech_encoder(damaged)

    part = tmp_path / "part.safetensors"
    save_file({f"encoder.{k}": v for k, v in weights.items() if "layers.1" not in k}, part)
    with pytest.raises(ModelError, match="not hold a whole"):
        load_speech_encoder(part)

    other = tmp_path / "other.safetensors"
    save_file({"unet.weight": torch.zeros(1)}, other)
    with pytest.raises(ModelError, match="lacks"):
        load_speech_encoder(other)

    large = tmp_path / "large.safetensors"
    shallow = {k: v for k, v in weights.items() if not k.startswith(("layers.2", "layers.3"))}
    save_file({f"encoder.{k}": v for k, v in shallow.items()}, large)
    with pytest.raises(ModelError, match="Whisper-tiny has 4"):
        load_speech_encoder(large)

    binary = tmp_path / "model.bin"
    write_ctranslate2(binary, weights)
    binary.write_bytes(binary.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="ends early"):
        load_speech_encoder(binary)
    binary.write_bytes(b"not a model at all")
    with pytest.raises(ModelError, match="binary version"):
        load_speech_encoder(binary)
