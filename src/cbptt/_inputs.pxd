"""What comes from outside: the steps of sequences, their first states, and masks of dropout."""

from cython cimport floating

from cbptt._cut cimport Steps


cdef struct Inputs:             # of all sequences that batches are drawn from; compared
    const void* values          # (steps, D)
    const Py_ssize_t* starts    # (n,)  where each sequence begins in the flat buffer
    const Py_ssize_t* stops     # (n,)  and ends
    Py_ssize_t n, n_steps
    const void* h0              # (n, M)  or NULL: zeros, or the state that is learned
    const void* input_masks     # (n, D)  dropout of the inputs; or NULL
    const void* masks           # (n, M)  dropout in the recurrence; or NULL


cdef void gather_inputs(
    floating* x,
    const Inputs* inputs,
    const Py_ssize_t* order,
    const Py_ssize_t* rows,
    Py_ssize_t D,
    const Steps* steps,
) noexcept nogil
