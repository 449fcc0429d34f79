"""The two recurrences of the GRU."""

from cython cimport floating

from cbptt._cut cimport Above, Steps
from cbptt._network cimport Layer, PackedLayer


cdef void gru_forward(
    floating* h,
    floating* gates,
    floating* inner,
    floating* state,
    floating* sums,
    const floating* x,
    const floating* mask,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void gru_backward(
    floating* gates,
    floating* carry,
    const Above* above,
    const floating* h,
    const floating* h_before,
    const floating* mask,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void gru_close(
    floating* dstate,
    const floating* carry,
    const floating* mask,
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil
