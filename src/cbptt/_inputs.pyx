"""What comes from outside: the steps of sequences, their first states, and masks of dropout."""

from cython cimport floating

from cbptt._cut cimport Steps
from cbptt._kernels cimport multiply


cdef void mask_rows(
    floating* to,               # OUT (N, D), rows ldx apart; may be x
    const floating* x,          # IN  (N, D), rows ldx apart
    const floating* masks,      # IN  (n, D), rows ld_masks apart
    Py_ssize_t ld_masks,
    const Py_ssize_t* order,    # IN  (B,)
    const Steps* steps,
    Py_ssize_t ldx,
    Py_ssize_t D,
) noexcept nogil:
    """m x_t, where a sequence's mask is the same at each step (Gal & Ghahramani 2016)"""
    cdef Py_ssize_t t, b
    for t in range(steps.T):
        for b in range(steps.alive[t]):
            multiply(to, x, masks + order[b] * ld_masks, D)
            to += ldx
            x += ldx
