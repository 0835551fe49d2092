"""Precision: where arithmetic in half the bits pays."""

from pathlib import Path

import torch

_NAMED = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def has_fast_bfloat16(device: torch.device) -> bool:
    """Tell whether half precision pays: where the CPU lacks the instructions it is several times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    cpu = Path("/proc/cpuinfo")
    return cpu.exists() and "avx512_bf16" in cpu.read_text()


def precision_for(asked: str, device: torch.device) -> torch.dtype:
    """Give what numbers to compute in: as asked, or with "auto" what the device is quick at."""
    if asked != "auto":
        return _NAMED[asked]
    if device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
