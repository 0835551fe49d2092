"""The machine a figure was measured on, in one line."""

import os
import platform
from pathlib import Path

TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def machine_facts() -> str:
    """Say what decides speed here: processor, cores, vector instructions, load, Python."""
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {_cores()} cores, {' '.join(_flags()) or 'flags unknown'}; "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}; load {load:.1f}"
    )


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _processor() -> str:
    return _from_cpuinfo("model name") or platform.processor() or "unknown processor"


def _flags() -> list[str]:
    present = set(_from_cpuinfo("flags").split()) | set(_from_cpuinfo("Features").split())
    missing = [] if "avx512_bf16" in present or "amx_bf16" in present else ["(no bf16)"]
    return [flag for flag in TELLING_FLAGS if flag in present] + missing


def _from_cpuinfo(key: str) -> str:
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return ""
    for line in file.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
