"""Backtests of forecasters and their metrics; `cbptt.forecasting.backtesting` defines them."""

from cbptt.forecasting.backtesting import (
    Backtest,
    Scores,
    backtest,
    mase,
    rmse,
    seasonal_naive,
    smape,
)

__all__ = ["Backtest", "Scores", "backtest", "mase", "rmse", "seasonal_naive", "smape"]
