"""A synthetic person saying timed speech, as a clip like any other, whose motion is known."""

from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import MOTION_RATE, Audio, Clip
from .camera import posed
from .face_kit import FaceKit
from .landmark_map import LandmarkMap
from .landmarker_depth import load_landmarker_depth
from .lip_contact import LipContact
from .phones import TimedSpeech
from .rendering import draw_head, make_scene
from .speaking import speech_to_expressions
from .talking_head import TalkingHead
from .talking_style import TalkingStyle
from .truth import resting_shape, true_motion


class TalkingClip(Clip):
    """Frames are drawn when they are asked for; the same seed gives the same clip."""

    def __init__(
        self,
        kit: FaceKit,
        landmark_map: LandmarkMap,
        head: TalkingHead,
        speech: TimedSpeech,
        style: TalkingStyle,
        seed: int,
        size: int = 256,
    ):
        generator = torch.Generator().manual_seed(seed)
        lips = LipContact.of(kit, landmark_map, head.identity)
        self._kit, self._map, self._head = kit, landmark_map, head
        self._speech = speech.audio
        self.expression = speech_to_expressions(speech, style, generator, lips)
        """Weights of the kit's expression shapes, [t e]."""
        self.pose = head.sway_over(len(self.expression), generator)
        """Columns of `camera.POSE`, [t 5]."""
        self._scene = make_scene(kit, landmark_map, head.appearance)
        self._base = kit.base(head.identity)
        self.fps = Fraction(MOTION_RATE)
        self.frame_count = len(self.expression)
        self.height = self.width = size

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        """Draws the frames, about a sixth of a second each for 256 pixels on one core."""
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        pictures = torch.empty(stop - start, self.height, self.width, 3)
        shapes = self._kit.expression_shapes.flatten(1)
        for i, frame in enumerate(range(start, stop)):
            moved = self._base + (self.expression[frame] @ shapes).view_as(self._base)
            pictures[i] = draw_head(
                self._scene, moved, self.pose[frame], self._head.camera, self.height
            )
        return pictures

    def audio(self) -> Audio:
        """The speech, cut or filled with silence to the length of the pictures."""
        count = round(self.frame_count * self._speech.sample_rate / self.fps)
        waveform = self._speech.waveform[:count]
        silence = waveform.new_zeros(count - len(waveform))
        return Audio(torch.cat([waveform, silence]), self._speech.sample_rate)

    def landmarks(self) -> Float[Tensor, "t k 3"]:
        """The TRACKED landmarks in the head's own axes, cm."""
        return self._map.of_expressions(self._kit, self._head.identity, self.expression)

    def picture_landmarks(self) -> Float[Tensor, "t k 2"]:
        """Where the TRACKED landmarks lie in the pictures, pixels."""
        return self._head.camera.project(posed(self.landmarks(), self.pose), self.height)[..., :2]

    def measurable_motion(self) -> Float[Tensor, "t points 3"]:
        """The same as `true_motion`, with the depth that the landmarker would report."""
        return load_landmarker_depth().motion(self.true_motion())

    def true_motion(self) -> Float[Tensor, "t points 3"]:
        """The MOVING landmarks minus the head's own resting shape, eye distances, 25 Hz."""
        neutral = resting_shape(self._kit, self._map, self._head.identity)
        return true_motion(self.landmarks(), neutral)
