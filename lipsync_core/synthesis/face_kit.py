"""A morphable head: a neutral shape, modes of identity and expression shapes, read from one file.

Made for ICT-FaceKit (Li et al., "Learning Formation of Physically-Based Face Attributes", CVPR
2020, https://github.com/ICT-VGL/ICT-FaceKit, MIT), packed into one .npz:

    V0   float [v 3]     neutral vertices, cm, y up, z towards the camera
    F    int   [f 4]     quads; a triangle repeats its third corner
    mat  str   [f]       material of every quad
    ex   str   [e]       names of the expression shapes
    X    float [e v 3]   what each adds at weight 1
    I    float [n v 3]   what each mode of identity adds at weight 1, one standard deviation
"""

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from einops import einsum
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..errors import ModelError

SKIN, BACK_HEAD, TEETH, GUMS = "M_Face", "M_BackHead", "M_Teeth", "M_GumsTongue"
EYES = ("M_IrisLeft", "M_IrisRight")
LASHES = "M_EyeLashes"
_KEYS = ("V0", "F", "mat", "ex", "X", "I")
_TO_PICTURE_AXES = (1.0, -1.0, -1.0)


@dataclass(frozen=True)
class FaceKit:
    """A head to be bent. Vertices are in cm, x right, y down, z away from the camera."""

    neutral: Float[Tensor, "v 3"]
    quads: Int[Tensor, "f 4"]
    materials: tuple[str, ...]
    """Of every quad."""
    expression_names: tuple[str, ...]
    expression_shapes: Float[Tensor, "e v 3"]
    identity_modes: Float[Tensor, "n v 3"]

    def base(
        self, identity: Float[Tensor, " n"], only: Int[Tensor, " c"] | None = None
    ) -> Float[Tensor, "c 3"]:
        """The vertices (or those of `only`) of a person at rest, in cm.

        `identity` counts standard deviations of the first modes; what is not given is 0.
        """
        if len(identity) > len(self.identity_modes):
            raise ValueError(f"{len(identity)} weights for {len(self.identity_modes)} modes")
        modes = self.identity_modes[: len(identity)]
        if only is None:
            return self.neutral + einsum(identity, modes.to(identity), "n, n v c -> v c")
        return self.neutral[only] + einsum(identity, modes[:, only].to(identity), "n, n v c -> v c")

    def vertices(
        self,
        identity: Float[Tensor, " n"],
        expression: Float[Tensor, "t e"],
        only: Int[Tensor, " c"] | None = None,
    ) -> Float[Tensor, "t c 3"]:
        """The vertices (or those of `only`) of a person with expressions over time, in cm."""
        if expression.shape[1] != len(self.expression_names):
            raise ValueError(
                f"{expression.shape[1]} expression weights for {len(self.expression_names)} shapes"
            )
        shapes = self.expression_shapes if only is None else self.expression_shapes[:, only]
        return self.base(identity, only) + einsum(expression, shapes, "t e, e v c -> t v c")

    @property
    def identity_size(self) -> int:
        """How many modes of identity there are."""
        return len(self.identity_modes)

    def expression_index(self, name: str) -> int:
        """The place of an expression shape; ValueError names those there are."""
        if name not in self.expression_names:
            raise ValueError(f"no expression {name!r}; there are {self.expression_names}")
        return self.expression_names.index(name)

    def expressions(self, **weights: float) -> Float[Tensor, "1 e"]:
        """One step with the named shapes at these weights and all others at 0."""
        expression = torch.zeros(1, len(self.expression_names))
        for name, weight in weights.items():
            expression[0, self.expression_index(name)] = weight
        return expression

    def triangles(self, *materials: str) -> Int[Tensor, "f 3"]:
        """The quads of these materials (of all for none), cut in two; facing as the quads do."""
        chosen = self.quads[self._of(materials)] if materials else self.quads
        halves = torch.cat([chosen[:, [0, 1, 2]], chosen[:, [0, 2, 3]]])
        distinct = (halves != halves.roll(1, dims=1)).all(dim=1)
        return halves[distinct]

    def vertices_of(self, *materials: str) -> Int[Tensor, " c"]:
        """The vertices that quads of these materials use, rising."""
        return self.quads[self._of(materials)].unique()

    def _of(self, materials: tuple[str, ...]) -> Bool[Tensor, " f"]:
        numbers = [i for i, name in enumerate(self._material_names) if name in materials]
        return torch.isin(self._material_numbers, torch.tensor(numbers, dtype=torch.long))

    @cached_property
    def _material_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.materials))

    @cached_property
    def _material_numbers(self) -> Int[Tensor, " f"]:
        places = {name: i for i, name in enumerate(self._material_names)}
        return torch.tensor([places[name] for name in self.materials])


def load_face_kit(path: Path) -> FaceKit:
    """Reads a packed ICT-FaceKit; ModelError when it is missing, damaged or of another make."""
    if not path.is_file():
        raise ModelError(f"no face kit at {path}: name a packed ICT-FaceKit .npz")
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [key for key in _KEYS if key not in file]:
                raise ModelError(
                    f"{path} lacks {missing}, a face kit has {list(_KEYS)}: pack ICT-FaceKit again"
                )
            arrays = {key: file[key] for key in _KEYS}
    # np.load raises ValueError for pickles, AttributeError for a bare array used as an archive.
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{path} is not a readable .npz ({error}): it may be damaged or half downloaded; "
            "get it again"
        ) from error
    _check(path, arrays)
    axes = torch.tensor(_TO_PICTURE_AXES)
    return FaceKit(
        neutral=torch.from_numpy(arrays["V0"]).float() * axes,
        quads=torch.from_numpy(arrays["F"]).long(),
        materials=tuple(arrays["mat"].tolist()),
        expression_names=tuple(arrays["ex"].tolist()),
        expression_shapes=torch.from_numpy(arrays["X"]).float() * axes,
        identity_modes=torch.from_numpy(arrays["I"]).float() * axes,
    )


def _check(path: Path, arrays: dict[str, np.ndarray]) -> None:
    vertices, quads, names = arrays["V0"], arrays["F"], arrays["ex"]
    count = len(vertices) if vertices.ndim else 0
    wanted = {
        "V0": (count, 3),
        "F": (len(quads) if quads.ndim else 0, 4),
        "mat": (len(quads) if quads.ndim else 0,),
        "ex": (len(names) if names.ndim else 0,),
        "X": (len(names) if names.ndim else 0, count, 3),
        "I": (len(arrays["I"]) if arrays["I"].ndim else 0, count, 3),
    }
    kinds = {"V0": "f", "F": "iu", "mat": "U", "ex": "U", "X": "f", "I": "f"}
    for key, shape in wanted.items():
        array = arrays[key]
        if array.shape != shape or array.dtype.kind not in kinds[key] or 0 in shape:
            raise ModelError(
                f"{path}: {key} is {array.dtype} {array.shape}, which does not fit {count} "
                f"vertices and {len(wanted['F']) and wanted['F'][0]} quads: pack the kit again"
            )
        if kinds[key] == "f" and not np.isfinite(array).all():
            raise ModelError(f"{path}: {key} holds values that are not finite: pack the kit again")
    if quads.min() < 0 or quads.max() >= count:
        raise ModelError(f"{path}: quads name vertices that are not there: pack the kit again")
