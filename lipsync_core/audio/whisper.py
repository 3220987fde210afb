"""Whisper-tiny's encoder as a speech encoder.

Whisper (Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision",
https://arxiv.org/abs/2212.04356) has its own log-mel recipe, repeated here.
"""

from pathlib import Path
from typing import Any

import torch
from einops import reduce
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ModelError
from .windows import SAMPLE_RATE, STEPS_PER_WINDOW, SpeechEncoder

_FFT, _HOP, _MELS, _HEAD_WIDTH = 400, 160, 80, 64
_PEAK = 1.5
"""log10 of the strongest mel power of a window after levelling: that of clear speech."""
_SILENT_PEAK = _PEAK - 5.0
"""Windows whose peak is below it are not raised further: noise must not be taken for speech."""
_RANGE = 8.0
"""log10 of the power range under the peak that Whisper sees."""


class WhisperSpeechEncoder(SpeechEncoder):
    """Whisper's encoder on levelled windows of 10 s."""

    def __init__(self, network: nn.Module, layers: tuple[int, int] = (2, 4)):
        super().__init__(network)
        import librosa

        self.layers = layers
        mel = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=_FFT, n_mels=_MELS)
        self.mel_filters: Tensor
        self.register_buffer("mel_filters", torch.from_numpy(mel))
        self.fft_window: Tensor
        self.register_buffer("fft_window", torch.hann_window(_FFT))

    @property
    def id(self) -> str:
        return "whisper-tiny:" + "+".join(str(layer) for layer in self.layers)

    @property
    def width(self) -> int:
        config: Any = self.network.config
        return config.d_model * len(self.layers)

    def log_mel(self, windows: Float[Tensor, "b n"]) -> Float[Tensor, "b mel frames"]:
        """Whisper's log-mel at 100 Hz, levelled so that quiet and loud speech look alike.

        Each window is judged by its own strongest mel power alone.
        """
        spectrum = torch.stft(windows, _FFT, _HOP, window=self.fft_window, return_complex=True)
        power = spectrum[..., :-1].abs().square()
        log = (self.mel_filters @ power).clamp_min(1e-12).log10()
        peak = reduce(log, "b mel frames -> b 1 1", "max")
        levelled = log + (_PEAK - peak.clamp_min(_SILENT_PEAK))
        return (levelled.clamp_min(_PEAK - _RANGE) + 4) / 4

    def forward(self, windows: Float[Tensor, "b n"]) -> Float[Tensor, "b t d"]:
        """Features of 10 s windows of 16 kHz sound at 25 Hz: two layers side by side."""
        states = self.network(self.log_mel(windows), output_hidden_states=True).hidden_states
        features = torch.cat([states[layer] for layer in self.layers], dim=-1)
        return reduce(features, "b (t pair) d -> b t d", "mean", pair=2)


def build_whisper(tensors: dict[str, Tensor], path: Path) -> WhisperSpeechEncoder:
    """Whisper-tiny's encoder from its variables, named as transformers does.

    Raises ModelError, which names `path`, when they are of another model or not all there.
    """
    return WhisperSpeechEncoder(_whisper_encoder(_encoder_tensors(tensors), path)).eval()


def _encoder_tensors(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("model.")
        if name.startswith("encoder."):
            found[name.removeprefix("encoder.")] = tensor.float()
    return found


def _whisper_encoder(tensors: dict[str, Tensor], path: Path) -> nn.Module:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    needed = ("conv1.weight", "embed_positions.weight", "layers.0.fc1.weight")
    if missing := [name for name in needed if name not in tensors]:
        raise ModelError(f"{path} lacks {missing} of Whisper's encoder: pick Whisper-tiny's file")
    width = tensors["conv1.weight"].shape[0]
    positions = 2 * STEPS_PER_WINDOW
    config = WhisperConfig(
        d_model=width,
        num_mel_bins=tensors["conv1.weight"].shape[1],
        encoder_layers=1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("layers.")),
        encoder_attention_heads=width // _HEAD_WIDTH,
        encoder_ffn_dim=tensors["layers.0.fc1.weight"].shape[0],
        max_source_positions=positions,
    )
    if (width, config.encoder_layers) != (384, 4):
        raise ModelError(
            f"{path} holds an encoder of {config.encoder_layers} layers, width {width}; "
            "Whisper-tiny has 4 of 384: pick Whisper-tiny's file"
        )
    tensors["embed_positions.weight"] = tensors["embed_positions.weight"][:positions].clone()
    network = WhisperEncoder(config)
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path} does not hold a whole Whisper encoder: {error}") from error
    return network
