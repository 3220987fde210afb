"""Writes a basis of lip motion made of a face kit's mouth shapes:
`python tools/face_kit_basis.py --face-kit ict_packed_f16.npz --out basis.safetensors`.

`train predictor-base --basis FILE` learns motion in it instead of in principal components of the
clips. It says how much of the motion of prepared clips (--prepared) the basis can express.
"""

import argparse
import sys
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core.checkpoint import save_tensors
from lipsync_core.errors import LipStyleError
from lipsync_core.evaluation.gestures import GESTURES, gesture_fields
from lipsync_core.motion.basis import LipMotionBasis
from lipsync_core.synthesis.expression_basis import expression_basis, expression_fields
from lipsync_core.synthesis.face_kit import load_face_kit
from lipsync_core.synthesis.landmark_map import load_landmark_map
from lipsync_core.training.motion_clips import lip_error, read_motion_clips
from lipsync_core.training.renderer import read_basis

SOURCE = "mouth, jaw and cheek shapes of ICT-FaceKit (MIT)"


def expressed(basis: LipMotionBasis, motion: Float[Tensor, "t points 3"]) -> tuple[float, float]:
    """What share of the squares of a motion the basis holds, and the lip error of the rest in
    percent of the eye distance."""
    held = basis.displacement(basis.project(motion))
    share = 1 - (motion - held).square().sum() / motion.square().sum()
    return float(share), 100 * float(lip_error(held, motion).mean())


def describe(name: str, basis: LipMotionBasis, prepared: Path | None, split: str) -> str:
    """One line on what a basis can express."""
    fields = gesture_fields()
    parts = [f"{name}: {basis.size} components ({basis.id})"]
    if prepared is not None:
        clips = read_motion_clips(prepared, split)
        motion = torch.cat([clip.displacement[clip.valid] for clip in clips])
        share, error = expressed(basis, motion)
        parts.append(f"{share:.4f} of {prepared.name} {split}, lip error {error:.2f} %")
    shares = [expressed(basis, field[None])[0] for field in fields]
    parts.append(", ".join(f"{g} {s:.2f}" for g, s in zip(GESTURES, shares, strict=True)))
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--face-kit", type=Path, required=True, help="packed ICT-FaceKit .npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, help="components (default: all independent ones)")
    parser.add_argument(
        "--beside", type=Path, help="a predictor or basis whose components come first"
    )
    parser.add_argument("--prepared", type=Path, help="prepared clips to judge it on")
    parser.add_argument("--split", default="validation")
    arguments = parser.parse_args()
    beside = None if arguments.beside is None else read_basis(arguments.beside)
    fields = expression_fields(load_face_kit(arguments.face_kit), load_landmark_map())
    basis = expression_basis(fields, arguments.size, beside)
    source = SOURCE
    if beside is not None:
        source = f"{beside.id}, then {SOURCE}"
        print(describe("beside", beside, arguments.prepared, arguments.split))
    save_tensors(
        arguments.out, {"components": basis.components}, {"format": "pt", "source": source}
    )
    print(describe(arguments.out.stem, basis, arguments.prepared, arguments.split))


if __name__ == "__main__":
    try:
        main()
    except LipStyleError as error:
        sys.exit(f"error: {error}")
