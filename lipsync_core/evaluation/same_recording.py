"""Whether two clips are of one recording: then one tells what is to be guessed of the other.

Files of one talk find their way into several collections, cropped and compressed anew, so that
neither their names nor their bytes say so. Their sound does.
"""

import math

import torch

from ..media.audio_file import resample
from ..types import Audio

RATE = 8000
"""Hz at which sounds are compared."""
LEAST_PEAK = 50.0
"""Standard deviations by which the best shift stands out. Of two files of one talk 710; of other
pairs of clips of one person, same room and microphone included, 7 to 10."""


def same_recording(first: Audio | None, second: Audio | None) -> bool:
    """Whether some shift of one sound fits the other, by the generalised cross-correlation with
    phase transform (Knapp and Carter 1976, doi 10.1109/TASSP.1976.1162830).

    Loudness and colour of the sound play no part. Without two sounds nothing is known: False.
    """
    if first is None or second is None:
        return False
    sounds = [torch.as_tensor(resample(sound, RATE).waveform).double() for sound in (first, second)]
    size = 1 << math.ceil(math.log2(sum(len(sound) for sound in sounds)))
    one, other = (torch.fft.rfft(sound, size) for sound in sounds)
    product = one * other.conj()
    # Silent bands have no phase to speak of.
    floor = 1e-6 * float(product.abs().max())
    curve = torch.fft.irfft(product / (product.abs() + max(floor, 1e-30)), size)
    spread = float(curve.std())
    return spread > 0 and float(curve.abs().max()) > LEAST_PEAK * spread
