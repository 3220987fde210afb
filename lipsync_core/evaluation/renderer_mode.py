"""The mode "renderer": stage 2 alone, driven by the real clip's own lip motion.

Every sampler setting stands beside the codec alone (nothing can be better) and beside pasting the
mouth of the frame of nearest motion (no renderer is needed for that). The controls follow in a
table of their own.
"""

from collections.abc import Mapping
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from .bench import Bench, Talking
from .clips import EvaluationClip
from .exhibits import PICTURES
from .modes import Exhibit, Finding
from .plots import write_picture
from .renderer_clips import LookedAt, RendererClip, look_up, read_renderer_clip, render
from .renderer_controls import MEANINGS as CONTROL_MEANINGS
from .renderer_controls import MEASURES as CONTROL_MEASURES
from .renderer_controls import Controls
from .renderer_copies import (
    copy_mouths,
    shelf_of_clip,
    shelf_of_itself,
    shelf_of_references,
    through_codec,
)
from .renderer_networks import FaceJudge, pick
from .renderer_pictures import (
    CROP_MEASURES,
    CROP_PSNR,
    PSNR,
    crop_figures,
    real_talking,
    write_crops,
    written_figures,
)
from .renderer_sheet import mouth_sheet
from .results import Measure, Row

RENDERER, CONTROLS = "renderer", "renderer controls"
STEPS = {"1 step": 1, "2 steps": 2, "4 steps": 4}
ONE_STEP, FOUR_STEPS = "1 step", "4 steps"
CODEC = "codec"
COPIED_REFERENCE, COPIED_CLIP, COPIED_SELF = "copied reference", "copied clip", "copied itself"
MEANINGS = {
    RENDERER: {
        **{name: f"the true lip motion, rendered in {name}" for name in STEPS},
        CODEC: "the real crop encoded and decoded: the ceiling",
        COPIED_REFERENCE: "the mouth of nearest motion of the references that the renderer sees",
        COPIED_CLIP: "the mouth of nearest motion of all frames of the person's other clip",
        COPIED_SELF: "the mouth of nearest motion of the clip itself, 30 frames away and more",
    },
    CONTROLS: CONTROL_MEANINGS,
}
GAINS = (COPIED_REFERENCE, COPIED_CLIP, COPIED_SELF, ONE_STEP, CODEC)
"""Subjects above whose PSNR, clip by clip, that of the sampler's settings is told."""


def gain_name(psnr: str, subject: str) -> str:
    """Of the figure that says how much higher a setting's PSNR is than the subject's."""
    return f"{psnr}, above {subject}"


MEASURES = (
    CROP_MEASURES[0],
    *(
        Measure(gain_name(psnr, subject), "dB", "higher", "Of the same clip.")
        for psnr in (CROP_PSNR, PSNR)
        for subject in GAINS
    ),
    *CROP_MEASURES[1:],
    *CONTROL_MEASURES,
)
"""Those that no other mode has."""


def measure_renderer(bench: Bench, clip: EvaluationClip) -> Finding:
    """The rows of both tables of one clip; one of UNFIT when it cannot be evaluated."""
    work = read_renderer_clip(bench, clip)
    looked = look_up(bench, work.seen, work.seen.motion, work.reference)
    made = make_crops(bench, work, looked)
    rewritten = write_crops(bench, work, "real", None)
    videos = {name: write_crops(bench, work, name, crops) for name, crops in made.items()}
    real, judge = real_talking(work), _judge(bench, work, rewritten)
    figures = {
        name: crop_figures(made[name], work.crops, work.track)
        | written_figures(video, rewritten.clip, real)
        | ({} if judge is None else judge.figures(pick(video.clip, judge.frames)))
        for name, video in videos.items()
    }
    add_gains(figures)
    controls = Controls(bench, work, looked, made[ONE_STEP], real, judge)
    controlled = controls.figures(videos[ONE_STEP])
    rows = _rows(RENDERER, clip, figures, _notes(work))
    rows += _rows(CONTROLS, clip, controlled, controls.notes)
    copied = next(name for name in (COPIED_CLIP, COPIED_SELF, COPIED_REFERENCE) if name in videos)
    shown = {"real": rewritten}
    shown |= {name: videos[name] for name in (CODEC, ONE_STEP, FOUR_STEPS, copied)}
    files = {"mouths": _draw_mouths(bench, work, shown)}
    return Finding([replace(rows[0], files=files), *rows[1:]], Exhibit(shown))


def _judge(bench: Bench, work: RendererClip, rewritten: Talking) -> FaceJudge | None:
    if bench.networks is None:
        return None
    return FaceJudge(bench.networks, work.track, rewritten.clip, work.in_span(work.picked))


def make_crops(
    bench: Bench, work: RendererClip, looked: LookedAt
) -> dict[str, Float[Tensor, "t s s 3"]]:
    """subject -> the crops of the rendered stretch; copies only where there is what to copy."""
    models, renderer = bench.models, bench.models.renderer
    made = {
        name: render(models, work, work.seen.motion, looked, steps=steps, seed=bench.settings.seed)
        for name, steps in STEPS.items()
    }
    made[CODEC] = through_codec(renderer, work.crops)
    shelves = {
        COPIED_REFERENCE: shelf_of_references(work, looked),
        COPIED_CLIP: None if work.reference is None else shelf_of_clip(work, work.reference),
        COPIED_SELF: shelf_of_itself(work),
    }
    copies = {name: shelf for name, shelf in shelves.items() if shelf is not None}
    return made | {name: copy_mouths(renderer, work, shelf) for name, shelf in copies.items()}


def add_gains(figures: dict[str, dict[str, float]]) -> None:
    """Adds to the sampler's settings how much higher their PSNR is than others' (GAINS)."""
    for subject in (subject for subject in GAINS if subject in figures):
        for ours in (ours for ours in STEPS if ours != subject):
            for psnr in (CROP_PSNR, PSNR):
                gain = figures[ours][psnr] - figures[subject][psnr]
                figures[ours][gain_name(psnr, subject)] = gain


def _draw_mouths(bench: Bench, work: RendererClip, shown: Mapping[str, Talking]) -> str:
    """The contact sheet's file, relative to the run's folder; all in it was written alike."""
    file = f"{PICTURES}/{work.clip.name}.renderer.mouths.png"
    (bench.folder / PICTURES).mkdir(parents=True, exist_ok=True)
    clips = {name: talking.clip for name, talking in shown.items()}
    write_picture(bench.folder / file, mouth_sheet(clips, work.track))
    return file


def _notes(work: RendererClip) -> dict[str, str]:
    reference = "its own distant frames" if work.reference is None else work.reference.name
    count, size = len(work.crops), work.crops.shape[1]
    where = f"{count} of {work.seen.pictures.frame_count}, from {work.span.start} on"
    return {"references": reference, "frames": where, "crop": f"{size} pixels"}


def _rows(
    mode: str,
    clip: EvaluationClip,
    figures: Mapping[str, dict[str, float]],
    notes: dict[str, str],
) -> list[Row]:
    rows = [Row(mode, clip.name, clip.person, name, found) for name, found in figures.items()]
    return [replace(rows[0], notes=notes), *rows[1:]]
