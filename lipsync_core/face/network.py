"""One TensorFlow Lite network: an array in, arrays out."""

import numpy as np
from jaxtyping import Float


class Network:
    """A network with one input, run by ai-edge-litert on the CPU."""

    def __init__(self, content: bytes, threads: int):
        from ai_edge_litert.interpreter import Interpreter

        # The interpreter reads from the buffer as long as it lives.
        self.content = content
        self.interpreter = Interpreter(model_content=content, num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.outputs = [o["index"] for o in self.interpreter.get_output_details()]

    def __call__(self, picture: Float[np.ndarray, "h w 3"]) -> list[np.ndarray]:
        """The outputs for one picture, in the file's order."""
        self.interpreter.set_tensor(self.input, picture[None].astype(np.float32))
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]
