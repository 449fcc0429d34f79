"""Output functions and losses."""

from cython cimport floating


cdef enum Loss:
    SQUARED_ERROR, LOG_LOSS


cdef bint is_pair(int f, int loss) noexcept nogil

cdef void output(
    floating* z,    # INOUT (R, K), rows ld apart  in: a2; out: h2 = f(a2)
    Py_ssize_t ld,
    Py_ssize_t R,
    Py_ssize_t K,
    int f,
) noexcept nogil

cdef double loss_and_delta(
    floating* z,             # INOUT (R, K), rows ld apart  in: a2; out: h2 = f(a2)
    floating* dz,            # INOUT (R, K), rows ld apart  in: the targets; out: w dL/da2
    Py_ssize_t ld,
    const floating* weight,  # IN    (R,)    w; 0 marks a row without a target
    Py_ssize_t R,
    Py_ssize_t K,
    int f,
    int loss,
) noexcept nogil
