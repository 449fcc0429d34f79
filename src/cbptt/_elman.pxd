"""The two recurrences of the lecture's network."""

from cython cimport floating

from cbptt._cut cimport Steps
from cbptt._network cimport Layer, Packed


cdef struct Above:          # dL/dh_t, from what reads the states
    const void* dh          # (N, M), may be where da is written; or (B, M) where `last`
    const void* dz          # (N, K), or (B, K) where `last`: dL/da2_t, and
    const void* ho_back     # W1 packed, if dL/dh_t = dL/da2_t W1 is still to be computed; or NULL
    Py_ssize_t K
    bint last               # only the last state of each sequence is read


cdef bint folds(Py_ssize_t B) noexcept nogil

cdef void elman_forward(
    floating* h,
    floating* inner,
    floating* state,
    const floating* x,
    const floating* mask,
    const floating* theta,
    const Packed* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void elman_backward(
    floating* da,
    floating* carry,
    const Above* above,
    const floating* h,
    const floating* mask,
    floating* dh_inner,
    const floating* theta,
    const Packed* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void elman_close(
    floating* dstate,
    const floating* carry,
    const floating* mask,
    const floating* theta,
    const Packed* packed,
    const Layer* layer,
    Py_ssize_t n,
) noexcept nogil
