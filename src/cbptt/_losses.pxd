"""Output functions and losses."""

from cython cimport floating


cdef enum Loss:
    SQUARED_ERROR, LOG_LOSS


cdef void output(
    floating[:, ::1] z,  # INOUT (R, K)  in: a2; out: h2 = f(a2)
    int f,
) noexcept nogil

cdef double loss_and_delta(
    floating[:, ::1] z,          # INOUT (R, K)  in: a2; out: h2 = f(a2)
    floating[:, ::1] dz,         # INOUT (R, K)  in: the targets; out: w dL/da2
    const floating[::1] weight,  # IN    (R,)    w; 0 marks a row without a target
    int f,
    int loss,
    bint canonical,              # take the shortcut f(a2) - target where it holds
) noexcept nogil
