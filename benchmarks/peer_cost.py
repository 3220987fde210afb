"""What a re-spoken frame costs: ours beside passes shaped like MuseTalk 1.5's and LatentSync 1.5's.

    python3 tools/host.py python benchmarks/peer_cost.py [--rounds 5] [--dtype bfloat16] [--json]

Random weights, no file is read: time and operations depend on shapes alone. Contenders take turns
over several rounds in one process, so that what else the machine does hits all alike: ratios are
what counts, seconds are this machine's. One untimed pass each, which counts operations, comes
first. A frame is a face of 256 x 256 pixels, for our renderer of small faces one of 128. Whisper,
which all three use, is left out of all three.

MuseTalk 1.5 (https://github.com/TMElyralab/MuseTalk: train_codes/musetalk.json, VAE as
sd-vae-ft-mse): one pass of Stable Diffusion 1's U-Net on 32 x 32 latents, 8 channels in (masked and
reference latent), 4 out, 320/640/1280/1280 wide, 2 layers, 8 heads, cross-attention to 50 audio
tokens 384 wide; the VAE (128/256/512/512, 4 latent channels) encodes the masked and the reference
face and decodes once.

LatentSync 1.5 (https://github.com/bytedance/LatentSync: configs/unet/stage2.yaml): the same widths,
13 channels in (noise 4, mask 1, masked 4, reference 4), 16 frames at a time with temporal
attention after every block of all four resolutions, none in the middle; 20 steps with guidance, so
2 passes each; VAE encodes twice and decodes once per frame. One pass of the U-Net is measured and
multiplied by 40. diffusers' UNetMotionModel stands in for its U-Net: likewise two temporal
self-attentions per motion module, but GEGLU feed-forward and transformer depth are diffusers' own.
DeepCache, which its inference script may switch on, is not counted.

Ours: the architectures of the shipped renderers (weights/lip_renderer_*.safetensors, headers only),
through `render_lips` itself: bend references into place, encode, sample in one step, decode, blend.
The pool of references is encoded once per clip and left out, as are face detection and compositing
of all contenders.

Operations are those of products and convolutions that torch.utils.flop_counter counts, multiply and
add as two. Peak memory is measured in a process of its own per contender: resident memory at its
highest while it is built in its own dtype and passes once, less what Python and the libraries hold.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core.checkpoint import read_header
from lipsync_core.landmarks import TRACKED
from lipsync_core.render.references import PER_FRAME, ReferenceChoice, encode_references
from lipsync_core.render.renderer import LipRenderer, LipRendererConfig
from lipsync_core.render.rendering import render_lips
from lipsync_core.types import LipMotion
from lipsync_core.weights import SHIPPED

LATENT_SIDE, PIXELS, AUDIO_TOKENS, AUDIO_WIDTH = 32, 256, 50, 384
LATENTSYNC_FRAMES, LATENTSYNC_STEPS, GUIDANCE_PASSES = 16, 20, 2
OUR_FRAMES = 4
SHORTEST = 2.0
"""Seconds that each part is timed for at least: a shorter look sees the machine's other work."""
MIB = 2**20


@dataclass(frozen=True)
class Widths:
    """Channels of the peers' networks; the published ones, or tiny ones for tests."""

    unet: tuple[int, int, int, int] = (320, 640, 1280, 1280)
    vae: tuple[int, int, int, int] = (128, 256, 512, 512)
    groups: int = 32


@dataclass(frozen=True)
class Part:
    """A piece of work and how often a frame needs it."""

    run: Callable[[], object]
    per_frame: float


@dataclass(frozen=True)
class Contender:
    """Networks and the work of one frame."""

    networks: list[nn.Module]
    parts: dict[str, Part]

    @property
    def parameters(self) -> int:
        return sum(p.numel() for network in self.networks for p in network.parameters())

    def seconds(self) -> float:
        """Of one frame, now."""
        total = 0.0
        for part in self.parts.values():
            start, runs = time.perf_counter(), 0
            while runs == 0 or time.perf_counter() - start < SHORTEST:
                part.run()
                runs += 1
            total += (time.perf_counter() - start) / runs * part.per_frame
        return total

    def operations(self) -> float:
        """Of one frame."""
        total = 0.0
        for part in self.parts.values():
            with FlopCounterMode(display=False) as counter:
                part.run()
            total += counter.get_total_flops() * part.per_frame
        return total


def prepared(build: Callable[[], nn.Module], dtype: torch.dtype) -> Any:
    """A network built in `dtype`: weights that once were wider would be the memory's peak."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return build().eval().requires_grad_(False)
    finally:
        torch.set_default_dtype(usual)


def vae(widths: Widths, dtype: torch.dtype) -> Any:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    network = lambda: AutoencoderKL(  # noqa: E731
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths.vae,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=widths.groups,
    )
    return prepared(network, dtype)


def vae_parts(network: Any, dtype: torch.dtype) -> dict[str, Part]:
    picture = torch.rand(1, 3, PIXELS, PIXELS, dtype=dtype)
    latent = torch.randn(1, 4, LATENT_SIDE, LATENT_SIDE, dtype=dtype)
    return {
        "encode": Part(lambda: network.encode(picture).latent_dist.mean, 2),
        "decode": Part(lambda: network.decode(latent).sample, 1),
    }


def musetalk(widths: Widths, dtype: torch.dtype) -> Contender:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    network = lambda: UNet2DConditionModel(  # noqa: E731
        sample_size=LATENT_SIDE,
        in_channels=8,
        out_channels=4,
        block_out_channels=widths.unet,
        layers_per_block=2,
        cross_attention_dim=AUDIO_WIDTH,
        attention_head_dim=8,
        norm_num_groups=widths.groups,
    )
    unet, codec = prepared(network, dtype), vae(widths, dtype)
    latent = torch.randn(1, 8, LATENT_SIDE, LATENT_SIDE, dtype=dtype)
    audio = torch.randn(1, AUDIO_TOKENS, AUDIO_WIDTH, dtype=dtype)
    parts = {"unet": Part(lambda: unet(latent, 0, audio).sample, 1)}
    return Contender([unet, codec], parts | vae_parts(codec, dtype))


def latentsync(widths: Widths, dtype: torch.dtype) -> Contender:
    from diffusers.models.unets.unet_motion_model import UNetMotionModel

    network = lambda: UNetMotionModel(  # noqa: E731
        sample_size=LATENT_SIDE,
        in_channels=13,
        out_channels=4,
        block_out_channels=widths.unet,
        layers_per_block=2,
        cross_attention_dim=AUDIO_WIDTH,
        num_attention_heads=8,
        motion_num_attention_heads=8,
        motion_max_seq_length=24,
        use_motion_mid_block=False,
        norm_num_groups=widths.groups,
    )
    unet, codec = prepared(network, dtype), vae(widths, dtype)
    frames = LATENTSYNC_FRAMES
    latent = torch.randn(1, 13, frames, LATENT_SIDE, LATENT_SIDE, dtype=dtype)
    audio = torch.randn(frames, AUDIO_TOKENS, AUDIO_WIDTH, dtype=dtype)
    passes = LATENTSYNC_STEPS * GUIDANCE_PASSES / frames
    parts = {"unet": Part(lambda: unet(latent, 0, audio).sample, passes)}
    return Contender([unet, codec], parts | vae_parts(codec, dtype))


def ours(config: LipRendererConfig) -> Contender:
    """Through the pack's own code, which decides about 16 bits by itself."""
    renderer = LipRenderer(config).eval().requires_grad_(False)
    side = config.crop_size
    crops, pool = torch.rand(OUR_FRAMES, side, side, 3), torch.rand(PER_FRAME, side, side, 3)
    motion = LipMotion(
        torch.randn(OUR_FRAMES, config.motion_dim),
        torch.ones(OUR_FRAMES, dtype=torch.bool),
        config.basis,
    )
    choice = ReferenceChoice(
        frames=tuple(range(PER_FRAME)),
        choice=torch.arange(PER_FRAME).expand(OUR_FRAMES, -1),
        usable=torch.ones(OUR_FRAMES, PER_FRAME, dtype=torch.bool),
        lips=torch.randn(PER_FRAME, config.motion_dim),
        distance=torch.rand(OUR_FRAMES, PER_FRAME),
    )
    found, wanted = (torch.rand(n, len(TRACKED), 2) for n in (PER_FRAME, OUR_FRAMES))
    references = encode_references(renderer, pool, choice, found, wanted)
    times = torch.arange(OUR_FRAMES) / 25
    run = lambda: render_lips(renderer, crops, motion, times, references)  # noqa: E731
    return Contender([renderer], {"render": Part(run, 1 / OUR_FRAMES)})


def shipped_configs() -> dict[int, LipRendererConfig]:
    """Crop size -> config of the shipped renderer for it, the largest first."""
    stored = [read_header(path).config for path in SHIPPED.glob("lip_renderer_*.safetensors")]
    plain = ({k: tuple(v) if isinstance(v, list) else v for k, v in c.items()} for c in stored)
    found = {config.crop_size: config for config in (LipRendererConfig(**c) for c in plain)}
    return dict(sorted(found.items(), reverse=True))


def builders(widths: Widths, dtype: torch.dtype) -> dict[str, Callable[[], Contender]]:
    """The first contender is what the others are compared with."""
    own = {f"ours {n}": partial(ours, config) for n, config in shipped_configs().items()}
    return own | {
        "MuseTalk 1.5 shape": lambda: musetalk(widths, dtype),
        "LatentSync 1.5 shape": lambda: latentsync(widths, dtype),
    }


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB


def memory_of(name: str, arguments: argparse.Namespace) -> float:
    """MiB, measured in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", name, "--dtype", arguments.dtype]
    command += ["--threads", str(arguments.threads)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def print_memory(build: Callable[[], Contender]) -> None:
    import diffusers.models.unets.unet_motion_model  # noqa: F401

    before = peak_megabytes()
    for part in build().parts.values():
        part.run()
    print(peak_megabytes() - before)


def measure(built: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds per frame, round by round; the contenders take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(rounds):
        for name, contender in built.items():
            seconds[name].append(contender.seconds())
    return seconds


def report(
    built: dict[str, Contender],
    operations: dict[str, float],
    seconds: dict[str, list[float]],
    memory: dict[str, float],
) -> list[dict[str, Any]]:
    """One row per contender; times are compared round by round with the first one's."""
    first = next(iter(built))
    rows = []
    for name, contender in built.items():
        ratios = [a / b for a, b in zip(seconds[name], seconds[first], strict=True)]
        rows.append(
            {
                "contender": name,
                "seconds per frame": statistics.median(seconds[name]),
                "ratio": statistics.median(ratios),
                "lowest ratio": min(ratios),
                "highest ratio": max(ratios),
                "GFLOP per frame": operations[name] / 1e9,
                "million parameters": contender.parameters / 1e6,
                "peak MiB": memory.get(name),
            }
        )
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    first = rows[0]["contender"]
    head = f"| | s/frame | time x {first} (range) | GFLOP/frame | parameters, M | peak MiB |"
    lines = [head, "|---|---|---|---|---|---|"]
    for row in rows:
        peak = "" if row["peak MiB"] is None else f"{row['peak MiB']:.0f}"
        lines.append(
            f"| {row['contender']} | {row['seconds per frame']:.3g} | {row['ratio']:.3g} "
            f"({row['lowest ratio']:.3g} to {row['highest ratio']:.3g}) "
            f"| {row['GFLOP per frame']:.4g} | {row['million parameters']:.4g} | {peak} |"
        )
    return "\n".join(lines)


@torch.inference_mode()
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16",
                        help="of the peers' weights; ours runs as the pack decides")  # fmt: skip
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-memory", action="store_true", help="leave out the peak memory")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    build = builders(Widths(), getattr(torch, arguments.dtype))
    if arguments.memory_of:
        print_memory(build[arguments.memory_of])
        return
    memory = {} if arguments.no_memory else {name: memory_of(name, arguments) for name in build}
    built = {name: make() for name, make in build.items()}
    # Counting comes first: it is also the pass that warms up.
    operations = {name: contender.operations() for name, contender in built.items()}
    rows = report(built, operations, measure(built, arguments.rounds), memory)
    print(json.dumps(rows, indent=2) if arguments.json else markdown(rows))


if __name__ == "__main__":
    main()
