"""What comes from outside: the steps of sequences, their first states, and masks of dropout."""

from cython cimport floating

from cbptt._cut cimport Steps
from cbptt._kernels cimport multiply
from cbptt._packing cimport gather_rows


cdef void gather_inputs(
    floating* x,                # OUT (N, D)
    const Inputs* inputs,
    const Py_ssize_t* order,    # IN  (B,)  the ids of the sequences
    const Py_ssize_t* rows,     # IN  (N,)  where the steps stand in the flat buffer
    Py_ssize_t D,
    const Steps* steps,
) noexcept nogil:
    """x_t, or m x_t, where a sequence's mask is the same at each step (Gal & Ghahramani 2016)"""
    cdef Py_ssize_t t, b
    cdef const floating* masks = <const floating*> inputs.input_masks
    gather_rows(x, D, <const floating*> inputs.values, D, rows, steps.N, D)
    if masks != NULL:
        for t in range(steps.T):
            for b in range(steps.alive[t]):
                multiply(x, <const floating*> x, masks + order[b] * D, D)
                x += D
