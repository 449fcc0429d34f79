"""What is installed and what it runs on: for bug reports, and beside every measured time."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import cbptt
from cbptt._kernels import instruction_set
from cbptt.engine.threads import blas_libraries, n_processors

__all__ = ["show_versions", "versions"]


def versions() -> dict[str, str]:
    """Return what is installed and what it runs on.

    Returns
    -------
    dict
        With the keys cbptt, python, platform, processor, cpus (that this process may use),
        kernels (the instruction set they were chosen for), blas (the one that SciPy carries, whose
        products cbptt uses: name, version, architecture and threads), numpy, scipy, scikit-learn
        and threadpoolctl.
    """
    found = {
        "cbptt": cbptt.__version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": str(n_processors()),
        "kernels": _kernels(),
        "blas": _blas(),
    }
    for package in ("numpy", "scipy", "scikit-learn", "threadpoolctl"):
        found[package] = metadata.version(package)
    return found


def show_versions() -> None:
    """Print `versions`, one line each."""
    found = versions()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:>{width}}: {value}")


def _processor() -> str:
    """The processor's name: from a file on Linux, and from `platform` on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine() or "unknown"


def _kernels() -> str:
    forced = " (forced by CBPTT_ISA)" if os.environ.get("CBPTT_ISA") else ""
    return instruction_set() + forced


def _blas() -> str:
    """SciPy's BLAS in words; NumPy may bring another one into the same process."""
    found = [library.info() for library in blas_libraries()]
    own = [info for info in found if _is_in_scipy(Path(info["filepath"]))]
    if own or len(found) == 1:
        return _described((own or found)[0])
    # Not a library that threadpoolctl knows (such as Accelerate), or not SciPy's own.
    import scipy

    built = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{built.get('name', 'unknown')} {built.get('version', '')}".strip()


def _is_in_scipy(library: Path) -> bool:
    """Whether a wheel of SciPy holds the file: in scipy.libs or, on macOS, in scipy/.dylibs."""
    folder = library.parent
    return folder.name == "scipy.libs" or folder.parent.name == "scipy"


def _described(info: dict[str, Any]) -> str:
    n_threads = info["num_threads"]
    details = [f"{n_threads} thread" + ("s" if n_threads != 1 else "")]
    if info.get("architecture"):
        details.insert(0, info["architecture"])
    return f"{info['internal_api']} {info.get('version') or '?'} ({', '.join(details)})"
