"""The pretrained speech encoder that a file holds."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from ..errors import ModelError
from .ctranslate2 import read_ctranslate2, to_transformers_names
from .hama import is_hama, read_hama
from .phonemes import build_phoneme_encoder
from .whisper import build_whisper
from .windows import SAMPLE_RATE, SpeechEncoder

__all__ = ["SAMPLE_RATE", "SpeechEncoder", "load_speech_encoder"]


def load_speech_encoder(path: Path) -> SpeechEncoder:
    """Whisper-tiny's encoder from a safetensors file of transformers' layout or from a CTranslate2
    `model.bin`; or hama's phoneme recogniser from its `asr_waveform.hama`.

    Raises ModelError when the file is missing, damaged, or holds another model.
    """
    if not path.is_file():
        raise ModelError(f"no speech encoder at {path}: check the name, or run install.py")
    if is_hama(path):
        return build_phoneme_encoder(read_hama(path), path)
    if path.suffix == ".safetensors":
        try:
            return build_whisper(load_file(path), path)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path} is not a readable .safetensors file ({error}): get it again"
            ) from error
    return build_whisper(to_transformers_names(read_ctranslate2(path)), path)
