"""What a study prints, and keeps where it is asked to: the same text, and the numbers as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Report:
    """Lines and raw numbers; on leaving, finished or not, they go to `out` and beside it.

    Attributes
    ----------
    raw : everything measured, in plain types.
    """

    def __init__(self, out: Path | None) -> None:
        self.out = out
        self.raw: dict[str, Any] = {}
        self._lines: list[str] = []

    def line(self, text: str = "") -> None:
        """Print a line, and keep it."""
        print(text.rstrip(), flush=True)
        self._lines.append(text.rstrip())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.out is not None:
            self.out.write_text("\n".join(self._lines) + "\n", encoding="utf-8")
            numbers = json.dumps(self.raw, indent=1)
            self.out.with_suffix(".json").write_text(numbers + "\n", encoding="utf-8")
