"""The arrays of a task: compared with the network once, at the boundary, and kept.

A task computes on arrays of Python without the GIL. Each of them is set by a function of this
module, which compares its shape and precision with the network; nothing below compares again.
"""

from cython cimport floating

from cbptt._head cimport Targets
from cbptt._inputs cimport Inputs
from cbptt._losses cimport LOG_LOSS
from cbptt._network cimport EVERY, Network
from cbptt._packing cimport are_finite, are_from_0_to_1
from cbptt._part cimport Given, Wanted


cdef class Arrays:
    """What a task reads, and where it leaves what was wanted; see `cbptt._train.Task`.

    Parameters
    ----------
    network : Network
    """

    def __cinit__(self, Network network, *_, **__):
        self.net, self.kept = network, {}


# ---- comparisons ---------------------------------------------------------------------------------

cdef int require(
    str name,
    Py_ssize_t rows,
    Py_ssize_t columns,
    Py_ssize_t expected_rows,
    Py_ssize_t expected_columns,
    bint optional=False,
) except -1:
    """An array of these rows and columns; or, where it is optional, without rows"""
    if (rows == 0 and optional) or (rows == expected_rows and columns == expected_columns):
        return 0
    raise ValueError(
        f"cbptt's compiled code got {name} of shape {(rows, columns)}; expected "
        f"{(expected_rows, expected_columns)}."
    )


cdef int require_idle(Arrays arrays) except -1:
    """What a batch reads must not change while it runs"""
    if arrays.busy:
        raise RuntimeError(
            "cbptt's compiled code got a task that another thread is using; expected one for "
            "each thread."
        )
    return 0


cdef Py_ssize_t count_targets(Arrays arrays) noexcept:
    """One for each step, or for each sequence"""
    cdef const Inputs* inputs = &arrays.given.inputs
    return inputs.n_steps if arrays.net.head.readout == EVERY else inputs.n


cdef int require_given(Arrays arrays, Py_ssize_t itemsize) except -1:
    if arrays.given.inputs.values == NULL or itemsize != arrays.net.itemsize:
        raise ValueError(
            f"cbptt's compiled code got a task without inputs, or arrays of another precision "
            f"than the {arrays.net.itemsize} bytes of its network."
        )
    return 0


cdef Py_ssize_t require_weights(Arrays arrays, Py_ssize_t itemsize) except -1:
    """The number of targets, for which weights must have been set"""
    require_idle(arrays)
    require_given(arrays, itemsize)
    if arrays.given.targets.weights == NULL:
        raise ValueError("cbptt's compiled code got a task without targets.")
    return count_targets(arrays)


cdef int require_labels(
    const floating* weights, Arrays arrays, const Py_ssize_t* ids, Py_ssize_t B
) except -1:
    """A class wherever there is a weight"""
    cdef const Py_ssize_t* labels = arrays.given.targets.labels
    cdef Py_ssize_t i, r, end, K = arrays.net.head.K
    for i in range(B):
        r, end = ids[i], ids[i] + 1
        if arrays.net.head.readout == EVERY:
            r, end = arrays.given.inputs.starts[ids[i]], arrays.given.inputs.stops[ids[i]]
        for r in range(r, end):
            if weights[r] != 0 and not 0 <= labels[r] < K:
                raise ValueError(
                    f"cbptt's compiled code got the label {labels[r]}; expected 0 to {K - 1}."
                )
    return 0


# ---- what is set ---------------------------------------------------------------------------------

def set_inputs(
    Arrays arrays,
    const floating[:, ::1] values,
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] stops,
    const floating[:, ::1] h0,
):
    """Set the sequences that batches are drawn from.

    Parameters
    ----------
    values : (steps, D) their steps, one sequence behind the other
    starts, stops : (n,) where each begins and ends in them
    h0 : (n, M), or no rows: zeros, or the state that is learned
    """
    cdef Inputs* inputs = &arrays.given.inputs
    cdef Py_ssize_t n = starts.shape[0], n_steps = values.shape[0]
    require_idle(arrays)
    require("values", values.shape[1], sizeof(floating), arrays.net.layers[0].D,
            arrays.net.itemsize)
    require("stops", stops.shape[0], 1, n, 1)
    require("h0", h0.shape[0], h0.shape[1], n, arrays.net.state_width, optional=True)
    if inputs.starts != NULL and (inputs.n != n or inputs.n_steps != n_steps):
        raise ValueError(
            f"cbptt's compiled code got {n} sequences of {n_steps} steps; expected {inputs.n} of "
            f"{inputs.n_steps}, as before."
        )
    if n == 0 or n_steps == 0:
        raise ValueError("cbptt's compiled code got no sequence; expected one at least.")
    arrays.kept["values"] = values
    arrays.kept["sequences"] = starts, stops, h0
    inputs.values, inputs.n, inputs.n_steps = &values[0, 0], n, n_steps
    inputs.starts, inputs.stops = &starts[0], &stops[0]
    inputs.h0 = &h0[0, 0] if h0.shape[0] > 0 else NULL


def set_targets(
    Arrays arrays,
    const floating[:, ::1] targets,
    const Py_ssize_t[::1] labels,
    const floating[::1] weights,
):
    """Set what outputs are compared with.

    Parameters
    ----------
    targets : (steps, K) or, unless every step is read, (n, K); or no rows, and
    labels : (steps,) or (n,) classes
    weights : (steps,) or (n,)
    """
    cdef Given* given = &arrays.given
    cdef Py_ssize_t K = arrays.net.head.K
    cdef Py_ssize_t n = count_targets(arrays)
    require_idle(arrays)
    require_given(arrays, sizeof(floating))
    require("weights", weights.shape[0], 1, n, 1)
    require("targets", targets.shape[0], targets.shape[1], n, K, optional=labels.shape[0] > 0)
    if targets.shape[0] == 0:
        require("labels", labels.shape[0], 1, n, 1)
    arrays.kept["values of targets"] = targets, labels
    arrays.kept["weights"] = weights
    given.targets.values = &targets[0, 0] if targets.shape[0] > 0 else NULL
    given.targets.labels = &labels[0] if labels.shape[0] > 0 else NULL
    given.targets.weights = &weights[0]


def set_masks(Arrays arrays, const floating[:, ::1] inputs, const floating[:, ::1] recurrent):
    """Set the masks of dropout, which may be filled anew between batches.

    Parameters
    ----------
    inputs : (n, D), or no rows
    recurrent : (n, M), or no rows
    """
    cdef Given* given = &arrays.given
    require_idle(arrays)
    require_given(arrays, sizeof(floating))
    require("dropout masks of inputs", inputs.shape[0], inputs.shape[1], given.inputs.n,
            arrays.net.input_width, optional=True)
    require("dropout masks of states", recurrent.shape[0], recurrent.shape[1], given.inputs.n,
            arrays.net.unit_width, optional=True)
    arrays.kept["masks"] = inputs, recurrent
    given.inputs.input_masks = &inputs[0, 0] if inputs.shape[0] > 0 else NULL
    given.inputs.masks = &recurrent[0, 0] if recurrent.shape[0] > 0 else NULL


def want_states(Arrays arrays, floating[:, ::1] carried, Py_ssize_t carry):
    """Set where the states after some steps are left, of the sequences that have these steps.

    Parameters
    ----------
    carried : (n, M), or no rows; it may be the h0 of these batches
    carry : int
        After how many steps.
    """
    require_idle(arrays)
    require_given(arrays, sizeof(floating))
    require("carry", max(carry, 0), 1, carry, 1)
    require("carried states", carried.shape[0], carried.shape[1], arrays.given.inputs.n,
            arrays.net.state_width, optional=True)
    arrays.kept["states"] = carried
    arrays.wanted.carried = &carried[0, 0] if carried.shape[0] > 0 else NULL
    arrays.wanted.carry = carry


def want_derivatives(Arrays arrays, floating[:, ::1] dh0, floating[:, ::1] dx):
    """Set where the derivatives by initial states and inputs are left.

    Parameters
    ----------
    dh0 : (n, M), or no rows
    dx : (steps, D), or no rows
    """
    require_idle(arrays)
    require_given(arrays, sizeof(floating))
    require("dh0", dh0.shape[0], dh0.shape[1], arrays.given.inputs.n, arrays.net.state_width,
            optional=True)
    require("dx", dx.shape[0], dx.shape[1], arrays.given.inputs.n_steps, arrays.net.layers[0].D,
            optional=True)
    arrays.kept["derivatives"] = dh0, dx
    arrays.wanted.dh0 = &dh0[0, 0] if dh0.shape[0] > 0 else NULL
    arrays.wanted.dx = &dx[0, 0] if dx.shape[0] > 0 else NULL


def want_predictions(
    Arrays arrays,
    floating[:, ::1] hidden,
    floating[:, ::1] predictions,
    floating[:, ::1] final,
    bint activated,
):
    """Set where states and outputs are left.

    Parameters
    ----------
    hidden : (steps, M) all states; or no rows
    predictions : (steps, K), or (n, K) unless every step is read; or no rows
    final : (n, M) the states after the last steps; or no rows
    activated : bool
        Whether predictions are h2, else a2.
    """
    cdef Wanted* wanted = &arrays.wanted
    cdef Py_ssize_t n = arrays.given.inputs.n, n_steps = arrays.given.inputs.n_steps
    require_idle(arrays)
    require_given(arrays, sizeof(floating))
    require("hidden", hidden.shape[0], hidden.shape[1], n_steps, arrays.net.head.M,
            optional=True)
    require("final", final.shape[0], final.shape[1], n, arrays.net.state_width, optional=True)
    require("outputs", predictions.shape[0], predictions.shape[1],
            count_targets(arrays), arrays.net.head.K, optional=True)
    arrays.kept["predictions"] = hidden, predictions, final
    wanted.hidden = &hidden[0, 0] if hidden.shape[0] > 0 else NULL
    wanted.predictions = &predictions[0, 0] if predictions.shape[0] > 0 else NULL
    wanted.final = &final[0, 0] if final.shape[0] > 0 else NULL
    wanted.activated = activated


# ---- other values, in arrays of the same shapes --------------------------------------------------

def replace_inputs(Arrays arrays, const floating[:, ::1] values):
    """Set other steps of sequences that begin and end where those before did.

    Parameters
    ----------
    values : (steps, D)

    Returns
    -------
    finite : bool
        If one of the values is not finite, False, and nothing is changed.
    """
    cdef Inputs* inputs = &arrays.given.inputs
    require_idle(arrays)
    require("values", values.shape[0], values.shape[1], inputs.n_steps, arrays.net.layers[0].D)
    require("values", values.shape[1], sizeof(floating), values.shape[1], arrays.net.itemsize)
    if inputs.starts == NULL:
        raise ValueError("cbptt's compiled code got a task without sequences.")
    if not are_finite(&values[0, 0], inputs.n_steps * arrays.net.layers[0].D):
        return False
    arrays.kept["values"] = values
    inputs.values = &values[0, 0]
    return True


def replace_targets(Arrays arrays, const floating[:, ::1] targets):
    """Set other targets, with the weights of those before.

    Parameters
    ----------
    targets : (R, K), one row for each weight

    Returns
    -------
    valid : bool
        If one of the targets is not finite, or the loss is not defined for it, False, and nothing
        is changed.
    """
    cdef Targets* own = &arrays.given.targets
    cdef Py_ssize_t R = require_weights(arrays, sizeof(floating)), K = arrays.net.head.K
    require("targets", targets.shape[0], targets.shape[1], R, K)
    if not are_finite(&targets[0, 0], R * K):
        return False
    if arrays.net.head.loss == LOG_LOSS and not are_from_0_to_1(&targets[0, 0], R * K):
        return False
    arrays.kept["values of targets"] = targets
    own.values, own.labels = &targets[0, 0], NULL
    return True


def replace_labels(Arrays arrays, const Py_ssize_t[::1] labels):
    """Set other classes, with the weights of those before.

    Parameters
    ----------
    labels : (R,), one for each weight

    Returns
    -------
    valid : bool
        If one of the labels is no class, False, and nothing is changed.
    """
    cdef Targets* own = &arrays.given.targets
    cdef Py_ssize_t R = require_weights(arrays, arrays.net.itemsize), r
    require("labels", labels.shape[0], 1, R, 1)
    for r in range(R):
        if not 0 <= labels[r] < arrays.net.head.K:
            return False
    arrays.kept["values of targets"] = labels
    own.values, own.labels = NULL, &labels[0]
    return True


def release_call(Arrays arrays):
    """Let go of the arrays of one call: the values of inputs and targets, and predictions.

    What describes the sequences remains, so that a call with other values can follow.
    """
    cdef Wanted* wanted = &arrays.wanted
    require_idle(arrays)
    wanted.hidden = wanted.predictions = wanted.final = NULL
    arrays.given.inputs.values = NULL
    arrays.given.targets.values, arrays.given.targets.labels = NULL, NULL
    for name in ("values", "values of targets", "predictions"):
        arrays.kept.pop(name, None)
