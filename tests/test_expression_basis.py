"""The basis made of a face kit's mouth shapes spans them, and nothing that it has already."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_head import NAMES, tiny_kit, tiny_map

from lipsync_core.checkpoint import save_tensors
from lipsync_core.landmarks import LIPS, MOVING
from lipsync_core.motion.basis import LipMotionBasis
from lipsync_core.synthesis.expression_basis import expression_basis, expression_fields
from lipsync_core.synthesis.truth import resting_shape, true_motion
from lipsync_core.training.renderer import read_basis


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return tiny_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def fields(kit):
    return expression_fields(kit, tiny_map(kit))


def test_fields_are_what_each_mouth_shape_does(kit, fields):
    mouth_names = [name for name in NAMES if name.startswith(("mouth", "jaw"))]
    assert fields.shape == (len(mouth_names), len(MOVING), 3)
    landmark_map = tiny_map(kit)
    rest = resting_shape(kit, landmark_map, torch.zeros(0))
    weights = torch.cat([kit.expressions(), kit.expressions(jawOpen=0.5), kit.expressions()])
    posed = landmark_map.of_expressions(kit, torch.zeros(0), weights)
    half_open = true_motion(posed, rest)[1]
    assert torch.allclose(fields[mouth_names.index("jawOpen")] / 2, half_open, atol=1e-4)
    left, right = (fields[mouth_names.index(f"mouthStretch_{side}")] for side in "LR")
    assert left[: len(LIPS), 0].sum() > 0 > right[: len(LIPS), 0].sum()


def test_basis_is_orthonormal_and_holds_every_shape(fields):
    basis = expression_basis(fields)
    assert basis.size == len(fields)
    assert torch.allclose(basis.components @ basis.components.T, torch.eye(basis.size), atol=2e-3)
    held = basis.displacement(basis.project(fields))
    assert (held - fields).norm() < 2e-3 * fields.norm()


def test_first_component_is_the_strongest_movement(fields):
    smaller = [expression_basis(fields, size) for size in (1, 2, 3)]
    left = [(b.displacement(b.project(fields)) - fields).norm() for b in smaller]
    assert left[0] > left[1] > left[2]
    strongest = fields.flatten(1)[fields.flatten(1).norm(dim=1).argmax()]
    assert abs(smaller[0].components[0] @ strongest) > 0.8 * strongest.norm()


def test_the_same_shape_twice_is_one_direction(fields):
    twice = expression_basis(torch.cat([fields, 0.5 * fields[:1], -fields[1:2]]))
    assert twice.size == len(fields)


def test_beside_another_basis_only_what_it_lacks_is_added(fields):
    known = LipMotionBasis(expression_basis(fields[:2]).components)
    both = expression_basis(fields, beside=known)
    assert torch.equal(both.components[: known.size], known.components)
    assert both.size == len(fields)
    assert torch.allclose(both.components @ both.components.T, torch.eye(both.size), atol=3e-3)


def test_saved_basis_keeps_its_id(fields, tmp_path):
    basis = expression_basis(fields)
    save_tensors(tmp_path / "basis.safetensors", {"components": basis.components}, {"format": "pt"})
    assert read_basis(tmp_path / "basis.safetensors").id == basis.id
    assert load_file(tmp_path / "basis.safetensors")["components"].shape == (basis.size, 171)


def test_kit_without_mouth_shapes_is_refused(kit):
    from dataclasses import replace

    nameless = replace(kit, expression_names=tuple(f"brow{i}" for i in range(len(NAMES))))
    with pytest.raises(ValueError, match="no expression shape begins with"):
        expression_fields(nameless, tiny_map(kit))
