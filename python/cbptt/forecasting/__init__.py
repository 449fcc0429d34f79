"""Forecasts of series: reading and scaling, a forecaster on top of a regressor, and backtests.

Only the package's face may import this room. It may import the estimators, which know nothing of
series. The estimators need scikit-learn, so each name is imported from its module, not from here.
"""
