"""What several test files share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings

from cbptt.data.sequences import check_sequences
from cbptt.losses import flatten_targets, flatten_weights
from cbptt.training import Trainer

# A busy machine is slow now and then, which is not what these tests are about.
settings.register_profile("cbptt", deadline=None)
settings.load_profile("cbptt")

# Tables, which scikit-learn's checks and tools are given, might as well be lone sequences. A mark
# also holds where the command line makes every warning an error.
TABLES = pytest.mark.filterwarnings(
    "ignore:[A-Za-z]+ reads a 2-D X as [0-9]+ sequences:UserWarning"
)


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(TABLES)


@pytest.fixture(scope="session")
def make_trainer():
    """Maker of a Trainer of net on (X, Y): no shuffling, penalty or clipping unless given."""

    def make(net, X, Y, optimizer, sample_weight=None, *, batch_size, seed=0, **options):
        sequences = check_sequences(X, dtype=net.dtype, caller="Trainer")
        flat = flatten_targets(Y, sequences, net.readout, name="Y", caller="Trainer")
        weights = flatten_weights(sample_weight, sequences, net.readout, caller="Trainer")
        return Trainer(
            net,
            sequences,
            net.check_targets(flat, weights, sequences),
            optimizer,
            batch_size=batch_size,
            rng=np.random.default_rng(seed),
            **{"alpha": 0.0, "max_grad_norm": np.inf, "shuffle": False} | options,
        )

    return make
