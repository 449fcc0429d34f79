"""Estimators: recurrent networks with scikit-learn's fit and predict, and what goes with them."""

from cbptt.estimators._classifiers import RNNClassifier, RNNSequenceClassifier
from cbptt.estimators._per_sequence import PerSequence
from cbptt.estimators._per_timestep import PerTimestep
from cbptt.estimators._regressors import RNNRegressor, RNNSequenceRegressor
from cbptt.estimators._scoring import make_sequence_scorer

__all__ = [
    "PerSequence",
    "PerTimestep",
    "RNNClassifier",
    "RNNRegressor",
    "RNNSequenceClassifier",
    "RNNSequenceRegressor",
    "make_sequence_scorer",
]
