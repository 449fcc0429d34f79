"""The two recurrences of the lecture's network."""

from cython cimport floating

from cbptt._cut cimport Above, Steps
from cbptt._network cimport Layer, PackedLayer


cdef void elman_forward(
    floating* h,
    floating* inner,
    floating* state,
    const floating* x,
    const floating* mask,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
    bint fold,
) noexcept nogil

cdef void elman_backward(
    floating* da,
    floating* carry,
    const Above* above,
    const floating* h,
    const floating* mask,
    floating* dh_inner,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void elman_close(
    floating* dstate,
    const floating* carry,
    const floating* mask,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t n,
) noexcept nogil
