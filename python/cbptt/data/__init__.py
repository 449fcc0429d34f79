"""What a user passes as X, y or a table, read and checked.

Every other room may import this one. It imports nothing of the package outside itself, so that it
knows neither networks nor estimators.
"""
