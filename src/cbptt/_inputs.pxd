"""What comes from outside: the steps of sequences, their first states, and masks of dropout."""

from cython cimport floating

from cbptt._cut cimport Steps


cdef struct Inputs:             # of all sequences that batches are drawn from; compared
    const void* values          # (steps, D)
    const Py_ssize_t* starts    # (n,)  where each sequence begins in the flat buffer
    const Py_ssize_t* stops     # (n,)  and ends
    Py_ssize_t n, n_steps
    Py_ssize_t checkpoint       # steps of a segment; 0: all
    const void* h0              # (n, state_width)  or NULL: zeros, or what is learned
    const void* input_masks     # (n, input_width)  dropout of inputs; or NULL
    const void* masks           # (n, unit_width)   dropout in the recurrence; or NULL


cdef void mask_rows(
    floating* to,
    const floating* x,
    const floating* masks,
    Py_ssize_t ld_masks,
    const Py_ssize_t* order,
    const Steps* steps,
    Py_ssize_t ldx,
    Py_ssize_t D,
) noexcept nogil
