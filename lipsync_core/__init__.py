"""LipStyle's method, without ComfyUI: a video and new speech in, a re-spoken video out.

The map of the package, in the order in which data flows:

    types        the data that flows between the stages, with shapes and units
    landmarks    which of the 478 face landmarks are lips, jaw and stable points; the canonical face
    media        video and audio files, read on demand and written as a stream
    face         Clip -> FaceTrack, aligned crops
    audio        Audio -> SpeechFeatures
    motion       FaceTrack -> LipMotion; the paper's stage 1: SpeechFeatures + StyleReference
                 -> LipMotion
    render       the paper's stage 2: crops + LipMotion + reference crops -> crops
    compositing  crops back into the frames, inside the mask only
    pipeline     all of it, in two streaming passes
    training     prepared clips, losses, the training loop
    checkpoint   one self-describing .safetensors per model
    weights      which weight files exist, where they are found, how they are fetched when asked

Stages never import each other; only `pipeline` and `training` know the order. Nothing is
re-exported here: there is one way to import a thing.
"""
