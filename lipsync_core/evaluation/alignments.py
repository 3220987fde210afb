"""What is said when: word times of a GRID .align file, spread over phones and mouth shapes.

The word times are those of the corpus; inside a word the phones share the time in proportion to
their usual lengths, so that a phone in the middle of a long word may be off by a step or two, while
one at a word's start, where nearly all of GRID's bilabials are, stands as well as the word does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import MediaError
from ..types import MOTION_RATE
from .grid_pronunciations import GRID_PRONUNCIATIONS

ALIGNMENT_RATE = 25_000
"""Units per second in a GRID .align file."""
PAUSES = ("sil", "sp")
"""Words of an .align file that are silence."""
SILENCE = "sil"

MOUTH_SHAPES: dict[str, tuple[str, ...]] = {
    "silence": (SILENCE,),
    "bilabial": ("p", "b", "m"),
    "labiodental": ("f", "v"),
    "rounded": ("uw", "uh", "ow", "ao", "oy", "w", "er", "r", "sh", "zh", "ch", "jh"),
    "open": ("aa", "ae", "ah", "ay", "aw", "eh"),
    "spread": ("iy", "ih", "ey", "y", "s", "z"),
    "other": ("t", "d", "n", "l", "th", "dh", "k", "g", "ng", "hh"),
}
"""class of mouth shape -> the phones (ARPAbet) that share it, every phone in one of them.

Mean opening of GRID's speaker 1 while a class is heard, in % of the eye distance: silence 1.4,
bilabial 2.1, labiodental 4.0, rounded 4.7 (and the mouth 4 % narrower), other 7.4, spread 9.3,
open 10.7. EH is among the open ones because it is as open as AA there, 12 %."""
SHAPE_NAMES = tuple(MOUTH_SHAPES)

_USUAL_LENGTHS = {
    "aa ae ao aw ay er ey iy ow oy uw": 210,
    "ah eh ih uh": 145,
    "f s sh th ch jh": 100,
    "p b t d k g": 80,
    "m n ng l r w y hh": 75,
    "v z zh dh": 65,
}
"""Milliseconds, by class of phone: means of the inherent durations that Klatt's rules start from
(Allen, Hunnicutt and Klatt 1987, From Text to Speech: The MITalk System, chapter 9), rounded.
Only their proportions count."""
_USUAL_LENGTH = {
    phone: length for phones, length in _USUAL_LENGTHS.items() for phone in phones.split()
}


@dataclass(frozen=True)
class TimedWord:
    """A word, or a pause ("sil", "sp"), and when it is said; seconds from the clip's start."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class TimedPhone:
    """A phone in ARPAbet, or SILENCE, and when it is heard; seconds from the clip's start."""

    phone: str
    start: float
    end: float

    @property
    def centre(self) -> float:
        """Seconds."""
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class PhoneTrack:
    """Which class of mouth shape is heard at each 25 Hz step."""

    classes: Int[Tensor, " t"]
    """Into `names`: the class that holds most of the 40 ms about the step."""
    posteriors: Float[Tensor, "t c"]
    """How much of each class is heard about the step, with soft edges; a step sums to 1."""
    names: tuple[str, ...] = SHAPE_NAMES

    def __getitem__(self, name: str) -> Float[Tensor, " t"]:
        """The posterior of one class; ValueError for a name that is not among `names`."""
        return self.posteriors[:, self.names.index(name)]


def read_alignment(path: Path) -> list[TimedWord]:
    """The words of a GRID .align file, pauses among them, in order.

    MediaError when a line is not "start end word" with rising times.
    """
    words: list[TimedWord] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            words.append(_parse(line, f"{path}, line {number}"))
            if len(words) > 1 and words[-1].start < words[-2].end:
                raise MediaError(f"{path}, line {number}: starts before the word above it ends")
    return words


def _parse(line: str, place: str) -> TimedWord:
    try:
        start, end, word = line.split()
        timed = TimedWord(word.lower(), int(start) / ALIGNMENT_RATE, int(end) / ALIGNMENT_RATE)
    except ValueError as error:
        raise MediaError(
            f"{place}: found {line.strip()!r}, needed 'start end word' in 1/25000 s"
        ) from error
    if timed.end < timed.start:
        raise MediaError(f"{place}: the word ends before it starts")
    return timed


def phones_of(
    words: Sequence[TimedWord],
    pronunciations: Mapping[str, tuple[str, ...]] = GRID_PRONUNCIATIONS,
) -> list[TimedPhone]:
    """The phones of timed words in order, each word's time shared in proportion to usual lengths.

    ValueError for a word that has no pronunciation.
    """
    phones = []
    for word in words:
        if word.word in PAUSES:
            phones.append(TimedPhone(SILENCE, word.start, word.end))
        elif word.word in pronunciations:
            phones += _share(word, pronunciations[word.word])
        else:
            raise ValueError(f"no pronunciation of {word.word!r}; there are {len(pronunciations)}")
    return phones


def _share(word: TimedWord, phones: tuple[str, ...]) -> list[TimedPhone]:
    lengths = [_USUAL_LENGTH[phone] for phone in phones]
    scale = (word.end - word.start) / sum(lengths)
    edges = [word.start + scale * sum(lengths[:i]) for i in range(len(phones))] + [word.end]
    return [TimedPhone(phones[i], edges[i], edges[i + 1]) for i in range(len(phones))]


def speech_span(words: Sequence[TimedWord]) -> tuple[float, float]:
    """Seconds at which the first word starts and the last one ends; ValueError without words."""
    spoken = [word for word in words if word.word not in PAUSES]
    if not spoken:
        raise ValueError("no words but pauses")
    return spoken[0].start, spoken[-1].end


def times_of(phones: Sequence[TimedPhone], shape: str = "bilabial") -> Float[Tensor, " n"]:
    """The centres, in seconds, of the phones of one class of mouth shape."""
    centres = [phone.centre for phone in phones if phone.phone in MOUTH_SHAPES[shape]]
    return torch.tensor(centres, dtype=torch.float64)


def phone_track(
    phones: Sequence[TimedPhone],
    steps: int,
    edge: float = 0.02,
    shift: float = 0.0,
    shapes: Mapping[str, tuple[str, ...]] = MOUTH_SHAPES,
) -> PhoneTrack:
    """The class of mouth shape heard at each of `steps` 25 Hz steps, step i at i / 25 s.

    edge: seconds, > 0; the posterior is the share of the phone under a Gaussian of this standard
    deviation about the step, so that it rises and falls smoothly through .5 at the phone's edges.
    shift: seconds by which the track is late; negative for lips that move ahead of the sound.
    shapes: the classes, "silence" and any others that share the phones among them.
    Before, between and after the phones there is silence.
    """
    if edge <= 0:
        raise ValueError(f"edge is {edge} s, needed more than 0")
    times = torch.arange(steps, dtype=torch.float64) / MOTION_RATE - shift
    posteriors = _shares(phones, times, lambda x: torch.special.ndtr(x / edge), shapes)
    box = _shares(phones, times, lambda x: (x * MOTION_RATE + 0.5).clamp(0, 1), shapes)
    return PhoneTrack(box.argmax(dim=1), posteriors.float(), tuple(shapes))


def _shares(
    phones: Sequence[TimedPhone],
    times: Float[Tensor, " t"],
    below: Callable[[Tensor], Tensor],
    shapes: Mapping[str, tuple[str, ...]],
) -> Float[Tensor, "t c"]:
    """The part of each class under a window about each time; `below` is its distribution."""
    shape_of = {phone: i for i, members in enumerate(shapes.values()) for phone in members}
    shares = torch.zeros(len(times), len(shapes), dtype=torch.float64)
    for phone in phones:
        if phone.phone != SILENCE:
            part = below(phone.end - times) - below(phone.start - times)
            shares[:, shape_of[phone.phone]] += part
    silence = tuple(shapes).index("silence")
    shares[:, silence] = (1 - shares.sum(dim=1)).clamp_min(0)
    return shares
