"""Files in ComfyUI's folders: found by the names that workflows give, and never outside of them."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

import folder_paths

from ..lipsync_core.checkpoint import read_metadata
from ..lipsync_core.errors import LipStyleError, MediaError, ModelError
from ..lipsync_core.media.given_names import LONGEST_NAME, file_inside, readable
from ..lipsync_core.weights import SHIPPED

FOLDER = "lipstyle"
"""The name of our folder in `models`, and in extra_model_paths.yaml."""
ON_OUTPUT = " [output]"
"""ComfyUI's mark for a file of the output folder."""


def register_folders() -> None:
    """Makes ComfyUI look for our files in `models/lipstyle`, then among those shipped."""
    own = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, own, is_default=True)
    folder_paths.add_model_folder_path(FOLDER, str(SHIPPED))


def model_folders() -> list[Path]:
    """Where weights are looked for."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(FOLDER)]


def model_names(kind: str) -> list[str]:
    """The weight files that hold a model of `kind`, as their headers say."""
    names = folder_paths.get_filename_list(FOLDER)
    paths = {name: folder_paths.get_full_path(FOLDER, name) for name in names}
    return [name for name, path in paths.items() if path and kind_of(Path(path)) == kind]


def output_names(kind: str) -> list[str]:
    """The files of `kind` in our part of the output folder, marked as such."""
    output = Path(folder_paths.get_output_directory())
    found = sorted((output / FOLDER).rglob("*.safetensors"))
    return [
        path.relative_to(output).as_posix() + ON_OUTPUT for path in found if kind_of(path) == kind
    ]


def kind_of(path: Path) -> str | None:
    """What a weight file says it holds; None for what is no file of ours."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    status = path.stat()
    return _kind_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1024)
def _kind_of(path: Path, changed: int, size: int) -> str | None:
    try:
        return read_metadata(path).get("lipstyle.kind")
    except ModelError:
        return None


def model_file(name: str) -> Path:
    """A weight file by its name in the folders for weights or, so marked, in the output folder.

    Raises ModelError when there is none: a name cannot lead out of these folders.
    """
    name = str(name)
    folders = model_folders()
    if name.endswith(ON_OUTPUT):
        folders = [Path(folder_paths.get_output_directory())]
    for folder in folders:
        path = file_inside(folder, name.removesuffix(ON_OUTPUT))
        if path is not None:
            return path
    raise ModelError(
        f"there is no file '{readable(name)}' in models/{FOLDER}: choose one of the list, or put "
        "it there and press R to read the folders again"
    )


def is_model(name: str | None, kind: str) -> bool | str:
    """True, or why `name` cannot be loaded as a model of `kind`; None is not known yet."""
    try:
        found = kind if name is None else kind_of(model_file(name))
    except ModelError as error:
        return str(error)
    if found == kind:
        return True
    holds = f"a {found}" if found else "no LipStyle data"
    return f"'{readable(name)}' holds {holds}, a {kind} is needed: choose another file"


def input_names(kind: str) -> list[str]:
    """The files of the input folder of a content type: "video" or "audio"."""
    folder = folder_paths.get_input_directory()
    names = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
    return sorted(folder_paths.filter_files_content_types(names, [kind]))


def input_file(name: str) -> Path:
    """A file of ComfyUI's input folder (or, so marked, of its output or temp folder).

    Raises MediaError when there is none: a name cannot lead out of these folders.
    """
    bare, folder = folder_paths.annotated_filepath(str(name))
    path = file_inside(Path(folder or folder_paths.get_input_directory()), bare.strip())
    if path is None:
        raise MediaError(
            f"there is no file '{readable(name)}' in ComfyUI's input folder: upload it first"
        )
    return path


def is_input(name: str | None) -> bool | str:
    """True, or why `name` cannot be read; None is not known yet."""
    try:
        return name is None or bool(input_file(name))
    except MediaError as error:
        return str(error)


def temp_file(suffix: str) -> Path:
    """A new name in ComfyUI's temp folder, which it empties when it starts."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{FOLDER}_{uuid4().hex}{suffix}"


def unfinished_folder() -> Path:
    """Where pieces of unfinished videos are kept: not in the temp folder, which is emptied when
    ComfyUI starts again after a crash."""
    return Path(folder_paths.get_user_directory()) / FOLDER / "unfinished"


def output_file(prefix: str, suffix: str) -> Path:
    """The next free numbered name in the output folder.

    Raises MediaError for a prefix that leads out of it or cannot be a file's name.
    """
    output = os.path.abspath(folder_paths.get_output_directory())
    wanted = Path(os.path.abspath(os.path.join(output, os.path.dirname(prefix))))
    try:
        if not wanted.is_relative_to(output) or len(prefix.encode()) > LONGEST_NAME:
            raise ValueError("it leads out of the folder, or is too long")
        folder, name, counter, _, _ = folder_paths.get_save_image_path(prefix, output)
    except (OSError, ValueError) as error:
        raise MediaError(
            f"'{readable(prefix)}' cannot be a file of the output folder ({error}): choose a "
            f"name within it, of at most {LONGEST_NAME} letters"
        ) from error
    return Path(folder) / f"{name}_{counter:05}_{suffix}"


def fingerprint(find: Callable[[str], Path], name: str) -> str:
    """Changes when the file that `find` finds by `name` does; "" where there is none.

    ComfyUI asks for it also where the name has been refused.
    """
    try:
        path = find(name)
        status = path.stat()
    except (LipStyleError, OSError):
        return ""
    return f"{path}:{status.st_mtime_ns}:{status.st_size}"
