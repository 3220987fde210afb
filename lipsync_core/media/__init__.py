"""Video and audio files: reading them on demand, fitting them to a length, writing them.

opening    a file -> an open container, or a MediaError
timing     packet time stamps -> a constant grid of frames
colour     decoded frames <-> RGB in [0, 1], the right way up
decoding   pictures of one stream by number, forwards and backwards
file_clip  a video file as a `Clip`
tensor_clip  pictures in memory as a `Clip`
trimming   a part of any `Clip`
fitting    a `Clip` -> one of the speech's length
audio_file sound of any file -> mono; resampling
writing    pictures and sound -> an mp4
"""
