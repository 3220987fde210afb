"""What can go wrong that a user can put right.

LipStyleError
|-- NoFaceError   no usable face in the video
|-- MediaError    a video or audio file that cannot be read or written
|-- SpeechError   audio without usable speech: empty, not finite, too short
|-- ModelError    a weight file is missing, damaged, or of another kind
|-- TrainingError a training run that cannot start, resume or go on
`-- EvaluationError an evaluation whose clips or weights do not allow it

A message says what was found, what was needed, and what to do. A wrong argument from our own
code is a plain ValueError.
"""


class LipStyleError(Exception):
    """The root of every error that is meant for the user's eyes."""


class NoFaceError(LipStyleError):
    """No face was found where one is needed."""


class MediaError(LipStyleError):
    """A file that is no video or audio, is damaged, or cannot be written."""


class SpeechError(LipStyleError):
    """Audio that holds nothing to lip-sync to."""


class ModelError(LipStyleError):
    """A weight file that is missing, damaged, of another kind, or does not fit its partner."""


class TrainingError(LipStyleError):
    """A training run that cannot start, resume or go on."""


class EvaluationError(LipStyleError):
    """An evaluation that its clips or weights do not allow, such as clips that were trained on."""
