"""A recurrent layer of any cell: its tape, and the derivatives of its weights."""

from cython cimport floating

from cbptt._cut cimport Steps
from cbptt._network cimport Layer


cdef struct Tape:       # what a layer keeps of a segment
    void* x             # (segment, D)  its inputs
    void* h             # (segment, M)  its states
    void* inner         # (segment, M)  m h_{t-1}, with dropout in the recurrence; or NULL


cdef struct Sums:       # the derivatives of a layer's weights, while they are added up
    double* dbias_h     # (M,)      by BLAS only
    void* dinputs       # (D + 1, M)  by the kernels: dL/dW0 transposed, and below it dL/db0
    void* left          # (rows, M)  packed; or NULL: BLAS
    void* right         # (rows, M)  packed, or as it is
    void* inputs        # (rows, D + 1)  packed


cdef void add_recurrent_derivatives(
    floating* gradient,
    Sums* sums,
    const floating* da,
    const floating* h_before,
    const floating* h,
    const floating* inner,
    const floating* x,
    const Layer* layer,
    const Steps* steps,
    bint add,
) noexcept nogil

cdef void finish_recurrent_derivatives(
    floating* gradient,
    const Sums* sums,
    const Layer* layer,
) noexcept nogil
