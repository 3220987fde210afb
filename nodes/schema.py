"""Schemas that older ComfyUI versions understand too."""

from dataclasses import fields
from typing import Any

from comfy_api.latest import io

CATEGORY = "LipStyle"


def Schema(**given: Any) -> io.Schema:
    """`io.Schema` without the fields that this version of ComfyUI does not know.

    `search_aliases` came with 0.10, `has_intermediate_output` with 0.18.1. The name is that of the
    real class, because registries look for a call of `Schema` to find a pack's nodes.
    """
    known = {field.name for field in fields(io.Schema)}
    return io.Schema(
        category=CATEGORY, **{name: value for name, value in given.items() if name in known}
    )


def advanced(given: io.Input) -> io.Input:
    """The same input, folded away until the user asks for the advanced ones.

    Servers know `advanced` since 0.9.2; what an older one is told, it hands on. The browser folds
    in its newer way of drawing nodes and shows all inputs in the classic one.
    """
    if hasattr(given, "advanced"):
        given.advanced = True
    else:
        given.extra_dict["advanced"] = True
    return given
