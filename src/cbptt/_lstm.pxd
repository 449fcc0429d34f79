"""The two recurrences of the LSTM."""

from cython cimport floating

from cbptt._cut cimport Above, Steps
from cbptt._network cimport Layer, PackedLayer


cdef void lstm_forward(
    floating* h,
    floating* c,
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

cdef void lstm_backward(
    floating* gates,
    floating* carry,
    const Above* above,
    const floating* c,
    const floating* c_before,
    const floating* mask,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void lstm_close(
    floating* dstate,
    const floating* carry,
    const floating* mask,
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil
