"""The picture of one sentence in several styles."""

from itertools import pairwise

import pytest
import torch
from synthetic_motion import displacement

from lipsync_core.errors import MediaError
from lipsync_core.evaluation.style_sheet import opening_and_spread, style_sheet, telling_moments
from lipsync_core.types import Audio


def spoken(steps: int = 60) -> torch.Tensor:
    """Lips that open at step 15 and shut again, spread at 30 and are round at 45."""
    time = torch.arange(steps).float()
    opening = 0.2 * torch.exp(-(((time - 15) / 3) ** 2)) + 0.02
    spread = 0.1 * torch.exp(-(((time - 30) / 3) ** 2)) - 0.1 * torch.exp(-(((time - 45) / 3) ** 2))
    return displacement(opening, spread)


def test_moments_are_the_extremes_and_lie_apart():
    motion = spoken()
    chosen = telling_moments(motion, 4)
    assert chosen == sorted(chosen) and len(set(chosen)) == 4
    assert {15, 30, 45} <= set(chosen)
    many = telling_moments(motion, 8)
    assert min(b - a for a, b in pairwise(many)) > 2
    assert len(telling_moments(motion[:3], 7)) == 3, "no more moments than steps"


def test_opening_and_spread_are_what_moved():
    opening, spread = opening_and_spread(spoken())
    assert int(opening.argmax()) == 15 and float(opening[15]) == pytest.approx(0.22, abs=0.01)
    assert int(spread.argmax()) == 30 and float(spread[30]) == pytest.approx(0.2, abs=0.01)


def test_every_style_has_a_row_and_differs_where_the_lips_do():
    speech = Audio(torch.rand(16_000 * 2, generator=torch.Generator().manual_seed(0)), 16_000)
    plain = spoken()
    one = style_sheet(speech, {"loud": 2 * plain}, plain)
    two = style_sheet(speech, {"loud": 2 * plain, "same": plain}, plain)
    assert one.ndim == 3 and one.shape[2] == 3 and one.std() > 5
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1]
    same = style_sheet(speech, {"loud": plain}, plain)
    assert same.shape == one.shape and (same != one).any()


def test_the_command_refuses_what_is_no_picture_and_what_is_no_style(tmp_path):
    from lipsync_core.__main__ import main

    words = ["style-sheet", "--speech", "a.wav", "--style", "x=y.mp4", "--out"]
    assert main([*words, str(tmp_path / "sheet.jpg")]) == 1
    from lipsync_core.commands import style_sheet as command

    with pytest.raises(MediaError, match="NAME=FILE"):
        command.named_styles(["nameless"])
    with pytest.raises(MediaError, match="each name once"):
        command.named_styles(["a=x.mp4", "a=y.mp4"])
    assert command.named_styles(["a=x.mp4,y.mp4"]).keys() == {"a"}
