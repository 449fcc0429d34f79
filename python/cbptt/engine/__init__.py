"""What runs batches: windows of truncation, threads, work memory, and the results.

The network and training may import this room, and estimators may import its results and windows.
It calls the compiled modules, and knows neither networks nor estimators.
"""
