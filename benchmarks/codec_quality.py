"""What codecs keep of faces they have never seen, side by side, as Markdown tables.

    python benchmarks/codec_quality.py --clips ../shared/data/evaluation --prepared PREPARED
        [--codec weights/lip_renderer_256.safetensors ...] [--taef2 ../shared/weights/taef2]
        [--sizes 256 512] [--frames 12] [--people people.json]

`--clips` holds the videos, `--prepared` what `python -m lipsync_core prepare` made of them: where
the face is in every frame. Crops are cut anew at every size, out of clips whose face has at least
REAL of that size in the frame. Of every clip the frames are spread evenly over how wide the mouth
is open, so that teeth and tongue count. A codec is a file of its own or a renderer that holds one.

    whole      PSNR of the aligned crop, dB, mean over frames
    mouth      the same in the mouth's box
    interior   the same between the inner lips, frames with an open mouth only
    gradient   gradient energy in the mouth's box, as a part of the original's

A person's figure is the mean over its frames, the mean is over people.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import Conv2d, GroupNorm
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core.evaluation.clips import read_people
from lipsync_core.face.alignment import crop_faces, transform
from lipsync_core.landmarks import LIPS_INNER, opening, tracked
from lipsync_core.media.file_clip import open_clip
from lipsync_core.render.codec import FACTOR
from lipsync_core.training.crops import gradient_energy, mouth_box, network_images, psnr
from lipsync_core.training.preparation import find_videos
from lipsync_core.training.prepared import PreparedClip, read_prepared
from lipsync_core.training.renderer import read_codec
from lipsync_core.weights import SHIPPED

REAL = 0.55
"""The part of a crop's side that the face must have had in the frame."""
OPEN_PIXELS = 0.0005
"""Part of the crop between the inner lips from which on a mouth counts as open."""
MEASURES = ("whole", "mouth", "interior", "gradient")
OUR_SIZES = (256, 512)
BATCH = 4


@dataclass(frozen=True)
class Faces:
    """Crops of one person at one size."""

    person: str
    crops: Float[Tensor, "n 3 s s"]
    interiors: Bool[Tensor, "n s s"]
    """Between the inner lips."""


@dataclass(frozen=True)
class Contender:
    """A codec under test; pictures are in [0, 1]."""

    name: str
    network: nn.Module
    reconstruct: Callable[[Tensor], Tensor]
    latent_channels: int

    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    def operations(self, size: int) -> float:
        """Floating point operations for one picture there and back."""
        with FlopCounterMode(display=False) as counter:
            self.reconstruct(torch.zeros(1, 3, size, size))
        return counter.get_total_flops()


@dataclass
class Figures:
    """person -> measure -> mean over frames, of one codec at one size."""

    people: dict[str, dict[str, float]] = field(default_factory=dict)

    def mean(self, measure: str) -> float:
        found = [figures[measure] for figures in self.people.values() if measure in figures]
        return float(np.mean(found)) if found else float("nan")

    def worst(self, measure: str) -> float:
        found = [figures[measure] for figures in self.people.values() if measure in figures]
        return min(found, default=float("nan"))


# --- the codecs ---------------------------------------------------------------------------------


def our_codec(path: Path) -> Contender:
    """A codec's or a renderer's file."""
    codec = read_codec(path)

    def reconstruct(pictures: Tensor) -> Tensor:
        return (codec.decode(codec.encode(2 * pictures - 1)) + 1) / 2

    # The weights of every run are called "model": its folder tells them apart.
    name = path.parent.name if path.stem == "model" else path.stem
    return Contender(name, codec, reconstruct, codec.config.latent_channels)


class TinyBlock(nn.Module):
    """A residual block of https://github.com/madebyollin/taesd, with its mean over the picture
    (a group norm between 1 x 1 convolutions) where the file has one."""

    def __init__(self, width: int, pooled: bool = False):
        super().__init__()
        convolutions = [Conv2d(width, width, 3, padding=1) for _ in range(3)]
        self.conv = nn.Sequential(
            convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2]
        )
        wide = 4 * width
        layers = (
            Conv2d(width, wide, 1, bias=False), GroupNorm(4, wide), nn.ReLU(),
            Conv2d(wide, width, 1, bias=False),
        )  # fmt: skip
        self.pool = nn.Sequential(*layers) if pooled else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(x + self.conv(x))


class Bound(nn.Module):
    """Latents kept within +/- 3."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return 3 * torch.tanh(x / 3)


def tiny_encoder(latent_channels: int, width: int) -> nn.Sequential:
    """The encoder of the tiny autoencoders for latents of FLUX.2."""
    layers: list[nn.Module] = [Conv2d(3, width, 3, padding=1), TinyBlock(width)]
    for scale in range(3):
        layers += [Conv2d(width, width, 3, stride=2, padding=1, bias=False)]
        layers += [TinyBlock(width, pooled=scale == 2) for _ in range(3)]
    return nn.Sequential(*layers, Conv2d(width, latent_channels, 3, padding=1))


def tiny_decoder(latent_channels: int, width: int) -> nn.Sequential:
    """And the decoder."""
    layers: list[nn.Module] = [
        Bound(), Conv2d(latent_channels, width, 3, padding=1), nn.ReLU()
    ]  # fmt: skip
    for scale in range(3):
        layers += [TinyBlock(width, pooled=scale == 0) for _ in range(3)]
        layers += [nn.Upsample(scale_factor=2), Conv2d(width, width, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, TinyBlock(width), Conv2d(width, 3, 3, padding=1))


def taef2(folder: Path) -> Contender:
    """The tiny autoencoder of FLUX.2: taef2_encoder.pth and taef2_decoder.pth."""
    states = [
        torch.load(folder / f"taef2_{part}.pth", map_location="cpu", weights_only=True)
        for part in ("encoder", "decoder")
    ]
    width, channels = states[1]["1.weight"].shape[:2]
    network = nn.ModuleList([tiny_encoder(channels, width), tiny_decoder(channels, width)])
    for part, state in zip(network, states, strict=True):
        part.load_state_dict(state)
    network.float().eval()
    encoder, decoder = network
    return Contender("taef2", network, lambda pictures: decoder(encoder(pictures)), channels)


# --- the faces ----------------------------------------------------------------------------------


def read_faces(
    clips: Sequence[PreparedClip],
    videos: dict[str, Path],
    people: dict[str, str],
    size: int,
    frames: int,
) -> list[Faces]:
    """Every person's crops of this size, by name; clips whose face is too small are left out."""
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for clip in clips:
        side = clip.crop_size / clip.read("frame_to_crop")[:, :, :2].det().sqrt().mean()
        if clip.name in videos and side >= REAL * size:
            person = people.get(clip.name, clip.person)
            found.setdefault(person, []).append(_cut(clip, videos[clip.name], size, frames))
    return [
        Faces(person, *(torch.cat(parts) for parts in zip(*cut, strict=True)))
        for person, cut in sorted(found.items())
    ]


def _cut(clip: PreparedClip, video: Path, size: int, frames: int) -> tuple[Tensor, Tensor]:
    """Crops and the pixels between the inner lips, of frames spread over the mouth's openings."""
    landmarks = clip.read("landmarks")
    visible = clip.read("visible").nonzero()[:, 0]
    order = visible[opening(landmarks[visible]).argsort()]
    places = torch.linspace(0, len(order) - 1, min(frames, len(order))).round().long()
    chosen = order[places]
    matrices = clip.read("frame_to_crop")[chosen] * (size / clip.crop_size)
    film = open_clip(video)
    pictures = torch.cat([film.frames(i, i + 1) for i in chosen.tolist()])
    crops = crop_faces(pictures, matrices, size)
    lips = transform(matrices.double(), landmarks[chosen][:, tracked(LIPS_INNER), :2].double())
    # Whole levels, as a video has them.
    levels = (crops * 255).round().clamp(0, 255).to(torch.uint8)
    return network_images(levels), torch.stack([_inside(outline, size) for outline in lips])


def _inside(outline: Float[Tensor, "k 2"], size: int) -> Bool[Tensor, "size size"]:
    import cv2

    # cv2 puts pixel centres at integers, we put them at +.5; 4 bits of sub-pixel precision.
    corners = np.round((outline.numpy() - 0.5) * 16).astype(np.int32)
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [corners], 1, shift=4)
    return torch.from_numpy(mask).bool()


# --- the figures --------------------------------------------------------------------------------


def measure(contender: Contender, faces: Sequence[Faces]) -> Figures:
    figures = Figures()
    for person in faces:
        made = torch.cat([contender.reconstruct(part) for part in person.crops.split(BATCH)])
        figures.people[person.person] = compare(made.clamp(0, 1), person)
    return figures


def compare(made: Float[Tensor, "n 3 s s"], faces: Faces) -> dict[str, float]:
    """MEASURES of reconstructions; "interior" is missing where no mouth is open."""
    size = made.shape[-1]
    mouth = (..., *mouth_box(size))
    found = {
        "whole": float(psnr(made, faces.crops).mean()),
        "mouth": float(psnr(made[mouth], faces.crops[mouth]).mean()),
        "gradient": float(gradient_energy(made[mouth]) / gradient_energy(faces.crops[mouth])),
    }
    error = (made - faces.crops).square().mean(dim=1)
    inside = faces.interiors.float()
    area = inside.sum(dim=(1, 2))
    wide = area >= OPEN_PIXELS * size**2
    if bool(wide.any()):
        means = (error * inside).sum(dim=(1, 2))[wide] / area[wide]
        found["interior"] = float(-10 * means.clamp_min(1e-10).log10().mean())
    return found


def tables(contenders: Sequence[Contender], results: dict[int, dict[str, Figures]]) -> str:
    """Markdown: the codecs, and for every size their means and what they keep of each person."""
    lines = [
        "| codec | parameters | latent | GFLOP at 256, both ways |",
        "| --- | --- | --- | --- |",
    ]
    for contender in contenders:
        lines.append(
            f"| {contender.name} | {contender.parameters() / 1e6:.2f} M | "
            f"{contender.latent_channels} channels, 1/{FACTOR} | "
            f"{contender.operations(256) / 1e9:.1f} |"
        )
    for size, figures in results.items():
        lines += ["", f"Crops of {size} pixels:", "", *_size_table(figures)]
    return "\n".join(lines)


def _size_table(figures: dict[str, Figures]) -> list[str]:
    names = list(figures)
    head = "| person | " + " | ".join(f"{n}: {' / '.join(MEASURES)}" for n in names) + " |"
    lines = [head, "| --- |" + " --- |" * len(names)]
    for person in figures[names[0]].people:
        cells = [_cell(figures[name].people[person].get) for name in names]
        lines.append(f"| {person} | " + " | ".join(cells) + " |")
    for label, of in (("**mean**", Figures.mean), ("worst", Figures.worst)):
        cells = [_cell(lambda m, of=of, n=n: of(figures[n], m)) for n in names]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def _cell(of: Callable[[str], float | None]) -> str:
    parts = []
    for name in MEASURES:
        value = of(name)
        missing = value is None or value != value
        parts.append("-" if missing else f"{value:.2f}" if name == "gradient" else f"{value:.1f}")
    return " / ".join(parts)


@torch.inference_mode()
def run(arguments: argparse.Namespace) -> str:
    torch.set_num_threads(arguments.threads)
    contenders = [our_codec(path) for path in arguments.codec]
    if arguments.taef2 is not None:
        contenders.append(taef2(arguments.taef2))
    videos = {path.stem: path for path in find_videos(arguments.clips)}
    people = read_people(arguments.people) if arguments.people else {}
    clips = read_prepared(arguments.prepared)
    results: dict[int, dict[str, Figures]] = {}
    for size in arguments.sizes:
        faces = read_faces(clips, videos, people, size, arguments.frames)
        if faces:
            results[size] = {c.name: measure(c, faces) for c in contenders}
    return tables(contenders, results)


def parse(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--prepared", type=Path, required=True, help="the same clips, prepared")
    parser.add_argument(
        "--codec", type=Path, nargs="+", default=[SHIPPED / "lip_renderer_256.safetensors"]
    )
    parser.add_argument("--taef2", type=Path, help="folder of the FLUX.2 tiny autoencoder")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(OUR_SIZES))
    parser.add_argument("--frames", type=int, default=12, help="of every clip")
    parser.add_argument("--people", type=Path, help='JSON {"name of a clip": "person"}')
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(given)


if __name__ == "__main__":
    print(run(parse()))
