"""The names of our types on the wires between nodes."""

from comfy_api.latest import io

MotionPredictor = io.Custom("LIPSTYLE_MOTION_PREDICTOR")
LipRenderer = io.Custom("LIPSTYLE_LIP_RENDERER")
FaceTrack = io.Custom("LIPSTYLE_FACE_TRACK")
SpeechFeatures = io.Custom("LIPSTYLE_SPEECH_FEATURES")
LipStyle = io.Custom("LIPSTYLE_LIP_STYLE")
LipMotion = io.Custom("LIPSTYLE_LIP_MOTION")
FaceLandmarks = io.Custom("FACE_LANDMARKS")
"""Of the core, since ComfyUI 0.23."""
