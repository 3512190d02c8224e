"""The network against tensors computed by the authors' modules at 16 channels with seeded weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.model import PRESETS, create_elf

GOLDEN = Path(__file__).parents[2] / "test" / "fixtures" / "golden"
