"""Precision: where arithmetic in half the bits pays."""

from pathlib import Path

import torch


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tell whether half precision pays: where the CPU lacks the instructions it is several times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512_bf16" in cpu.read_text()
