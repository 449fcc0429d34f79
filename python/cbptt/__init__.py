"""Recurrent networks for scikit-learn: exact backpropagation through time in compiled code."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name to the module that defines it; a module is imported when its name is first used.
_HOMES = {
    "RNN": "network",
    "Ragged": "data.ragged",
    "from_channels_first": "data.sequences",
    "from_long": "data.tables",
    "to_long": "data.tables",
    "make_windows": "data.windows",
    "PerSequence": "estimators",
    "PerTimestep": "estimators",
    "make_sequence_scorer": "estimators",
    "RNNClassifier": "estimators",
    "RNNForecaster": "forecasting.forecaster",
    "RNNRegressor": "estimators",
    "RNNSequenceClassifier": "estimators",
    "RNNSequenceRegressor": "estimators",
    "backtest": "forecasting.backtesting",
    "backtesting": "",
    "datasets": "",
    "reference": "",
    "testing": "",
}

if TYPE_CHECKING:
    from cbptt import backtesting, datasets, reference, testing
    from cbptt.data.ragged import Ragged
    from cbptt.data.sequences import from_channels_first
    from cbptt.data.tables import from_long, to_long
    from cbptt.data.windows import make_windows
    from cbptt.estimators import (
        PerSequence,
        PerTimestep,
        RNNClassifier,
        RNNRegressor,
        RNNSequenceClassifier,
        RNNSequenceRegressor,
        make_sequence_scorer,
    )
    from cbptt.forecasting.backtesting import backtest
    from cbptt.forecasting.forecaster import RNNForecaster
    from cbptt.network import RNN

__all__ = [
    "RNN",
    "PerSequence",
    "PerTimestep",
    "RNNClassifier",
    "RNNForecaster",
    "RNNRegressor",
    "RNNSequenceClassifier",
    "RNNSequenceRegressor",
    "Ragged",
    "backtest",
    "backtesting",
    "datasets",
    "from_channels_first",
    "from_long",
    "make_sequence_scorer",
    "make_windows",
    "reference",
    "testing",
    "to_long",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cbptt' has no attribute {name!r}")
    home = _HOMES[name]
    module = importlib.import_module(f"cbptt.{home or name}")
    value = getattr(module, name) if home else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
