"""What is heard when in a clip: classes of sound by its word times, clusters by frozen gates."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from ..training.style_transforms import ContentGates
from .alignments import SILENCE, PhoneTrack

GATES_FILE = Path(__file__).with_name("sound_gates.safetensors")
CLUSTER, VISEME = "cluster ", "viseme "
"""How the names of sounds begin that are not classes of MOUTH_SHAPES."""

VISEMES: dict[str, tuple[str, ...]] = {
    "silence": (SILENCE,),
    "bilabial": ("p", "b", "m"),
    "rounded": ("uw", "uh", "ow", "ao", "oy", "w"),
    "spread": ("iy", "ih", "ey"),
    "open": ("aa", "ae", "ah", "ay", "aw", "eh", "er"),
    "labiodental": ("f", "v"),
    "dental": ("th", "dh"),
    "alveolar": ("t", "d", "n", "s", "z", "l", "k", "g", "ng", "y", "hh"),
    "palatal": ("ch", "jh", "sh", "zh", "r"),
}
"""class -> its phones (ARPAbet), finer than MOUTH_SHAPES: rounded vowels are not mixed with the
rounded consonants, nor the tongue's places with each other."""


@dataclass(frozen=True)
class Heard:
    """What sounds when, at 25 Hz."""

    phones: PhoneTrack
    """Classes of MOUTH_SHAPES."""
    visemes: PhoneTrack
    """Classes of VISEMES, their edges softer: lips change more slowly than phones."""
    clusters: Float[Tensor, "t c"]
    """How much of each cluster of like sounds."""
    components: Float[Tensor, "t p"]
    """Whitened principal components of the speech features."""
    bilabials: Float[Tensor, " n"]
    """The middles of p, b and m, seconds."""

    def __getitem__(self, sound: str) -> Float[Tensor, " t"]:
        """Between 0 and 1: how much of `sound` is heard; a class of MOUTH_SHAPES, "viseme NAME" or
        "cluster N"."""
        if sound.startswith(CLUSTER):
            return self.clusters[:, int(sound.removeprefix(CLUSTER))]
        if sound.startswith(VISEME):
            return self.visemes[sound.removeprefix(VISEME)]
        return self.phones[sound]


@cache
def sound_gates() -> ContentGates:
    """The frozen gates that tell clusters of sounds apart: k-means of Whisper-tiny features."""
    stored = {name: value.float() for name, value in load_file(GATES_FILE).items()}
    centres = tuple(stored[f"centres.{i}"] for i in range(len(stored) - 2))
    return ContentGates(stored["mean"], stored["projection"], centres)
