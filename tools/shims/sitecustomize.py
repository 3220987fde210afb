"""Python itself imports this file at start when its folder is on PYTHONPATH."""

import cpu_torch

cpu_torch.install()
