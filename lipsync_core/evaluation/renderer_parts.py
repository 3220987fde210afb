"""A renderer with a part of its network switched off: what the part is good for.

Switched off is not trained without: the rest has learned to rely on it.
"""

import copy

import torch
from torch import nn

from ..render.layers import ModulatedConv, ReferenceAttention
from ..render.renderer import LipRenderer


def without_modulation(renderer: LipRenderer) -> LipRenderer:
    """A copy whose convolutions no lip motion scales."""
    return _silenced(renderer, [m.scales.weight for m in _all(renderer, ModulatedConv)])


def without_attention(renderer: LipRenderer) -> LipRenderer:
    """A copy that sees no reference but those that are brought into place."""
    ends = [m.out for m in _all(renderer, ReferenceAttention)]
    return _silenced(renderer, [p for end in ends for p in end.parameters()])


def without_drawing(renderer: LipRenderer) -> LipRenderer:
    """A copy that leaves references in place as they are, or draws nothing where it has none."""
    unet = renderer.unet
    ends = [unet.leave, *([unet.detail.leave] if unet.detail else [])]
    return _silenced(renderer, [p for end in ends for p in end.parameters()])


def _all(renderer: LipRenderer, kind: type[nn.Module]) -> list:
    return [module for module in renderer.unet.modules() if isinstance(module, kind)]


def _silenced(renderer: LipRenderer, parameters: list[nn.Parameter]) -> LipRenderer:
    """A copy in which these parameters are zero."""
    names = {id(parameter): name for name, parameter in renderer.named_parameters()}
    chosen = {names[id(parameter)] for parameter in parameters}
    other = copy.deepcopy(renderer)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name in chosen:
                parameter.zero_()
    return other
