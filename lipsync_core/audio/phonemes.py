"""Phoneme posteriors as speech features: what is said, hardly who says it.

The recogniser is that of hama 1.7 (https://github.com/hamanlp/hama, Apache-2.0): a Conformer
(Gulati et al., https://arxiv.org/abs/2005.08100) of four blocks on a log-mel, trained by CTC on
phonemes of the IPA. Its arithmetic is repeated here, so that neither its native library nor the
package is needed: only its weight file `asr_waveform.hama`. Layers are torch's own, not a host's
`Operations`, which have no multi-head attention.
"""

import re
from pathlib import Path

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Conv1d, LayerNorm, Linear

from ..errors import ModelError
from .windows import STEPS_PER_WINDOW, SpeechEncoder

_FFT, _HOP = 400, 160
_HEADS = 4
_PREFIX = "acoustic_model.model."
_MULTIPLIED = (
    "ffn1.fc1.weight", "ffn1.fc2.weight", "attn.in_proj_weight", "attn.out_proj.weight",
    "ffn2.fc1.weight", "ffn2.fc2.weight",
)  # fmt: skip
"""The weights of a block that the file calls `onnx::MatMul_NUMBER`, in the order of the numbers."""


class PhonemeEncoder(SpeechEncoder):
    """Log-posteriors of phonemes.

    How unlikely a phoneme is tells of the mouth as well: a ridge probe from them to the opening of
    the lips reaches r = .76 on people it never saw, from posteriors .57, from log-posteriors cut at
    1e-4 .62.
    """

    network: "_Recogniser"

    def __init__(self, network: "_Recogniser"):
        super().__init__(network)

    @property
    def id(self) -> str:
        return "hama-1.7:log-posteriors"

    @property
    def width(self) -> int:
        return self.network.proj.out_channels

    def forward(self, windows: Float[Tensor, "b n"]) -> Float[Tensor, "b t d"]:
        """Of 10 s windows of 16 kHz sound at 25 Hz: the mean of two frames of 20 ms."""
        frames = self.network(windows.clamp(-1, 1))[:, : 2 * STEPS_PER_WINDOW]
        return reduce(frames.log_softmax(dim=-1), "b (t pair) d -> b t d", "mean", pair=2)


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int):
        super().__init__()
        self.norm = LayerNorm(width)
        self.fc1, self.fc2 = Linear(width, inner), Linear(inner, width)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        return self.fc2(nn.functional.silu(self.fc1(self.norm(x))))


class _Convolution(nn.Module):
    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.norm = LayerNorm(width)
        self.pointwise1 = Conv1d(width, 2 * width, 1)
        self.depthwise = Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.pointwise2 = Conv1d(width, width, 1)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        x = rearrange(self.norm(x), "b t d -> b d t")
        x = self.depthwise(nn.functional.glu(self.pointwise1(x), dim=1))
        return rearrange(self.pointwise2(nn.functional.silu(x)), "b d t -> b t d")


class _Block(nn.Module):
    def __init__(self, width: int, inner: int, kernel: int):
        super().__init__()
        self.ffn1, self.ffn2 = _FeedForward(width, inner), _FeedForward(width, inner)
        self.attn_norm, self.norm = LayerNorm(width), LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, _HEADS, batch_first=True)
        self.conv = _Convolution(width, kernel)

    def forward(self, x: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        x = x + 0.5 * self.ffn1(x)
        normed = self.attn_norm(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        x = x + self.conv(x)
        return self.norm(x + 0.5 * self.ffn2(x))


class _Recogniser(nn.Module):
    """Sound at 16 kHz to unnormalised scores of phonemes, one frame every 20 ms."""

    stft_real: Tensor
    stft_imag: Tensor
    mel: Tensor

    def __init__(self, shapes: dict[str, torch.Size]):
        super().__init__()
        width, mels, stem = shapes["stem.weight"]
        inner, kernel = (
            shapes["blocks.0.ffn1.fc1.bias"][0],
            shapes["blocks.0.conv.depthwise.weight"][-1],
        )
        for name in ("stft_real", "stft_imag", "mel"):
            self.register_buffer(name, torch.zeros(shapes[name]))
        self.stem = Conv1d(mels, width, stem, stride=2, padding=stem // 2)
        count = 1 + max(int(n.split(".")[1]) for n in shapes if n.startswith("blocks."))
        self.blocks = nn.ModuleList(_Block(width, inner, kernel) for _ in range(count))
        self.proj = Conv1d(width, shapes["proj.weight"][0], 1)

    def forward(self, waveform: Float[Tensor, "b n"]) -> Float[Tensor, "b t symbols"]:
        padded = nn.functional.pad(waveform[:, None], (_FFT // 2, _FFT // 2), mode="reflect")
        real, imaginary = (
            nn.functional.conv1d(padded, kernel, stride=_HOP)
            for kernel in (self.stft_real, self.stft_imag)
        )
        power = rearrange(real.square() + imaginary.square(), "b f t -> b t f")
        log_mel = rearrange((power @ self.mel).clamp_min(1e-10).log(), "b t mel -> b mel t")
        x = rearrange(nn.functional.gelu(self.stem(log_mel)), "b d t -> b t d")
        for block in self.blocks:
            x = block(x)
        return rearrange(self.proj(rearrange(x, "b t d -> b d t")), "b s t -> b t s")


def build_phoneme_encoder(tensors: dict[str, Tensor], path: Path) -> PhonemeEncoder:
    """hama's recogniser from the arrays of its file.

    Raises ModelError, which names `path`, when they are of another model or not all there.
    """
    try:
        state = _named(tensors)
        network = _Recogniser({name: tensor.shape for name, tensor in state.items()})
        network.load_state_dict(state, strict=True)
    except (KeyError, ValueError, IndexError, RuntimeError) as error:
        raise ModelError(
            f"{path} does not hold hama's phoneme recogniser ({error}): "
            "take asr_waveform.hama of hama 1.7"
        ) from error
    return PhonemeEncoder(network).eval()


def _named(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The file's arrays by the names of `_Recogniser`.

    Weights that the export had folded or transposed have lost their names and kept their order.
    """
    state = {
        "stft_real": tensors["stft_real_kernel"],
        "stft_imag": tensors["stft_imag_kernel"],
        "mel": tensors["mel_fb"],
    }
    for name, tensor in tensors.items():
        if name.startswith(_PREFIX):
            state[name.removeprefix(_PREFIX)] = tensor
    convolutions = _in_order(tensors, "Conv")
    places = ["stem", *(f"blocks.{i}.conv.depthwise" for i in range(len(convolutions) // 2 - 1))]
    sides = [f"{place}.{side}" for place in places for side in ("weight", "bias")]
    state |= dict(zip(sides, convolutions, strict=True))
    for number, tensor in enumerate(_in_order(tensors, "MatMul")):
        block, place = divmod(number, len(_MULTIPLIED))
        state[f"blocks.{block}.{_MULTIPLIED[place]}"] = tensor.T
    return state


def _in_order(tensors: dict[str, Tensor], kind: str) -> list[Tensor]:
    numbered = {
        int(match[1]): tensor
        for name, tensor in tensors.items()
        if (match := re.fullmatch(rf"onnx::{kind}_(\d+)", name))
    }
    return [numbered[number] for number in sorted(numbered)]
