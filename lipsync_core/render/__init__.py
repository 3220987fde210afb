"""Stage 2: aligned crops and lip motion in, crops with the new lips out.

codec.py           crop <-> latent
layers.py          modulated convolutions, attention to references
unet.py            the denoiser
renderer.py        codec and denoiser in one file, and what they see of a crop
sampling.py        noise -> latent in a few steps
motion_windows.py  the motion about a moment
references.py      which frames of a clip show the renderer what the person looks like
rendering.py       crops, motion and times -> crops, chunk by chunk
precision.py       16 bits where the hardware has them
"""
