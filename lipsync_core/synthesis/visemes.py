"""What the mouth does for each sound, and how neighbouring sounds share it.

Every sound asks for some of eight gestures. Between sounds each gesture is a weighted mean of what
the sounds near ask for; the weight of a sound falls off around its middle (dominance functions,
Cohen and Massaro, "Modeling coarticulation in synthetic visual speech", 1993). Lips that must meet
(p b m) or touch the teeth (f v) are events instead: a mean of neighbours would leave them open.
The values are our own, set by ear and eye within the range of the shapes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from .phones import SILENCE, TimedPhone

GESTURES: tuple[str, ...] = ("jaw", "round", "funnel", "spread", "lower", "upper", "seal", "dental")
"""Jaw open, lips pucker, lips funnel, corners apart, lower lip down, upper lip up: blended. Lips
sealed, lower lip to the teeth: events. All in [0, 1]."""
BLENDED, EVENTS = GESTURES[:6], GESTURES[6:]

CLASSES = ("open", "front", "round", "sibilant", "postalveolar", "bilabial", "labiodental",
           "dental", "alveolar", "velar", "rest")  # fmt: skip
"""Kinds of sounds that look alike; a style may exaggerate each of its own."""
_MEMBERS = {
    "open": "aa ae ah ao aw ay",
    "front": "eh ey ih iy y",
    "round": "ow oy uh uw w er r",
    "sibilant": "s z",
    "postalveolar": "sh zh ch jh",
    "bilabial": "p b m",
    "labiodental": "f v",
    "dental": "th dh",
    "alveolar": "t d n l ax",
    "velar": "k g ng hh",
    "rest": SILENCE,
}
CLASS_OF = {phone: name for name, phones in _MEMBERS.items() for phone in phones.split()}


@dataclass(frozen=True)
class Viseme:
    """What a sound asks for."""

    jaw: float = 0.25
    round: float = 0.0
    funnel: float = 0.0
    spread: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    seal: float = 0.0
    dental: float = 0.0
    strength: float = 1.0
    """How much it insists against its neighbours on the jaw."""
    lip_strength: float = 0.5
    """The same on the lips."""


VISEMES: dict[str, Viseme] = {
    "aa": Viseme(1.0, lower=0.35, upper=0.15, strength=1.6, lip_strength=0.8),
    "ae": Viseme(0.85, spread=0.4, lower=0.45, upper=0.3, strength=1.5, lip_strength=0.9),
    "ah": Viseme(0.65, lower=0.3, upper=0.1, strength=1.2),
    "ao": Viseme(0.8, round=0.25, funnel=0.45, lower=0.2, strength=1.5, lip_strength=1.2),
    "aw": Viseme(0.85, round=0.25, funnel=0.25, lower=0.25, strength=1.5, lip_strength=0.9),
    "ay": Viseme(0.8, spread=0.25, lower=0.35, upper=0.2, strength=1.4, lip_strength=0.7),
    "ax": Viseme(0.35, lower=0.1, strength=0.5, lip_strength=0.2),
    "eh": Viseme(0.55, spread=0.4, lower=0.4, upper=0.2, strength=1.2, lip_strength=0.8),
    "ey": Viseme(0.45, spread=0.6, lower=0.4, upper=0.25, strength=1.2, lip_strength=1.0),
    "er": Viseme(0.3, round=0.35, funnel=0.35, lower=0.15, strength=1.0, lip_strength=1.0),
    "ih": Viseme(0.38, spread=0.4, lower=0.3, upper=0.15, strength=0.9, lip_strength=0.6),
    "iy": Viseme(0.25, spread=0.85, lower=0.3, upper=0.2, strength=1.2, lip_strength=1.3),
    "ow": Viseme(0.5, round=0.65, funnel=0.45, strength=1.2, lip_strength=1.5),
    "oy": Viseme(0.55, round=0.55, funnel=0.45, strength=1.2, lip_strength=1.4),
    "uh": Viseme(0.35, round=0.45, funnel=0.3, strength=1.0, lip_strength=1.1),
    "uw": Viseme(0.22, round=0.95, funnel=0.35, strength=1.2, lip_strength=1.7),
    "w": Viseme(0.18, round=1.0, funnel=0.25, strength=1.2, lip_strength=2.0),
    "y": Viseme(0.2, spread=0.6, lower=0.2, strength=0.8, lip_strength=0.8),
    "r": Viseme(0.22, round=0.45, funnel=0.4, strength=0.8, lip_strength=1.0),
    "p": Viseme(0.15, seal=1.0, strength=1.2, lip_strength=0.3),
    "b": Viseme(0.17, seal=1.0, strength=1.2, lip_strength=0.3),
    "m": Viseme(0.15, seal=1.0, strength=1.2, lip_strength=0.3),
    "f": Viseme(0.15, dental=1.0, upper=0.2, strength=1.2, lip_strength=0.9),
    "v": Viseme(0.17, dental=1.0, upper=0.15, strength=1.2, lip_strength=0.9),
    "th": Viseme(0.3, lower=0.25, spread=0.15, strength=0.9),
    "dh": Viseme(0.28, lower=0.2, spread=0.1, strength=0.7, lip_strength=0.3),
    "s": Viseme(0.08, spread=0.4, lower=0.4, upper=0.15, strength=1.6, lip_strength=0.8),
    "z": Viseme(0.1, spread=0.4, lower=0.4, upper=0.15, strength=1.5, lip_strength=0.8),
    "sh": Viseme(0.1, round=0.35, funnel=0.8, lower=0.3, strength=1.5, lip_strength=1.5),
    "zh": Viseme(0.12, round=0.35, funnel=0.75, lower=0.3, strength=1.4, lip_strength=1.4),
    "ch": Viseme(0.1, round=0.35, funnel=0.75, lower=0.3, strength=1.4, lip_strength=1.4),
    "jh": Viseme(0.12, round=0.35, funnel=0.7, lower=0.3, strength=1.4, lip_strength=1.3),
    "t": Viseme(0.15, lower=0.2, strength=0.9, lip_strength=0.25),
    "d": Viseme(0.18, lower=0.2, strength=0.8, lip_strength=0.25),
    "n": Viseme(0.2, lower=0.15, strength=0.7, lip_strength=0.2),
    "l": Viseme(0.32, lower=0.2, strength=0.7, lip_strength=0.25),
    "k": Viseme(0.3, lower=0.15, strength=0.5, lip_strength=0.15),
    "g": Viseme(0.3, lower=0.15, strength=0.5, lip_strength=0.15),
    "ng": Viseme(0.28, lower=0.1, strength=0.5, lip_strength=0.15),
    "hh": Viseme(0.4, strength=0.2, lip_strength=0.1),
    SILENCE: Viseme(0.0, strength=1.5, lip_strength=1.2),
}

_REACH = 0.055
"""Seconds around a sound at which its weight has fallen to 1 / e, beside its own half length."""
_EARLY_LIPS = 1.5
"""Lips begin to round or spread before the sound: their reach ahead of it, against behind."""
_EVENT_ONSET, _EVENT_RELEASE = 0.06, 0.055
"""Seconds in which lips go to and from a seal."""
_EVENT_INSET = 0.025
"""Seconds at either end of a long enough sound in which lips are on their way."""
_SHORTEST_EVENT = 0.05
"""Seconds for which lips stay together at least: more than one step at 25 Hz."""


def gestures(
    phones: tuple[TimedPhone, ...],
    times: Float[Tensor, " t"],
    width: float = 1.0,
    gains: dict[str, float] | None = None,
    effort: Float[Tensor, " p"] | None = None,
) -> Float[Tensor, "t g"]:
    """The GESTURES at `times` in seconds.

    `width` scales how far sounds reach into each other, > 0; `gains` how strongly a class of
    sounds is made (1 if left out); `effort` the same for every phone. Before, between and after
    the phones the mouth rests.
    """
    phones = _with_rests(phones, float(times.max()) if len(times) else 0.0)
    starts = times.new_tensor([phone.start for phone in phones])
    ends = times.new_tensor([phone.end for phone in phones])
    visemes = [VISEMES[phone.symbol] for phone in phones]
    gain = times.new_tensor([(gains or {}).get(CLASS_OF[phone.symbol], 1.0) for phone in phones])
    if effort is not None:
        spoken = times.new_tensor([phone.symbol != SILENCE for phone in phones]) > 0
        if len(effort) not in (len(phones), int(spoken.sum())):
            raise ValueError(f"{len(effort)} efforts for {int(spoken.sum())} sounds")
        gain = gain.clone()
        gain[spoken] = gain[spoken] * (effort if len(effort) < len(phones) else effort[spoken])
    columns = []
    for name in BLENDED:
        wanted = times.new_tensor([getattr(viseme, name) for viseme in visemes]) * gain
        insists = [v.strength if name == "jaw" else v.lip_strength for v in visemes]
        ahead = 1.0 if name == "jaw" else _EARLY_LIPS
        weights = _dominance(times, starts, ends, width, ahead) * times.new_tensor(insists)
        columns.append((weights * wanted).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-12))
    for name in EVENTS:
        held = times.new_tensor([getattr(viseme, name) for viseme in visemes])
        columns.append((_event(times, starts, ends) * held).amax(dim=1))
    return torch.stack(columns, dim=1)


def _with_rests(phones: tuple[TimedPhone, ...], end: float) -> tuple[TimedPhone, ...]:
    """The phones with silence wherever none is."""
    filled, reached = [], 0.0
    for phone in (*phones, None):
        start = phone.start if phone else max(end, reached) + 1.0
        if start > reached + 1e-3:
            filled.append(TimedPhone(SILENCE, reached, start))
        if phone:
            filled.append(phone)
            reached = phone.end
    return tuple(filled)


def _dominance(
    times: Float[Tensor, " t"],
    starts: Float[Tensor, " p"],
    ends: Float[Tensor, " p"],
    width: float,
    ahead: float,
) -> Float[Tensor, "t p"]:
    """exp(-(distance / reach) ** 1.5) of every time to the middle of every sound.

    A silence reaches from its edges instead: a long pause must not fade in its middle.
    """
    middle = (starts + ends) / 2
    half = ((ends - starts) / 2).clamp_max(0.15)
    away = times[:, None] - middle
    beyond = (away.abs() - ((ends - starts) / 2 - half)).clamp_min(0)
    reach = half + _REACH * width
    reach = torch.where(away < 0, reach * ahead, reach)
    return torch.exp(-((beyond / reach) ** 1.5)) + 1e-9


def _event(
    times: Float[Tensor, " t"], starts: Float[Tensor, " p"], ends: Float[Tensor, " p"]
) -> Float[Tensor, "t p"]:
    """1 in the middle of a sound, with smooth flanks that reach out of it on both sides."""
    spare = (_SHORTEST_EVENT - (ends - starts)) / 2
    spare = spare.clamp_min(-_EVENT_INSET)
    before = (starts - spare - times[:, None]).clamp_min(0) / _EVENT_ONSET
    after = (times[:, None] - ends - spare).clamp_min(0) / _EVENT_RELEASE
    flank = (before + after).clamp_max(1)
    return 0.5 + 0.5 * torch.cos(torch.pi * flank)
