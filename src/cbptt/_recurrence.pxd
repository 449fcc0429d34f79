"""A recurrent layer in one direction, of any cell: forward, back, and the derivatives."""

from cython cimport floating

from cbptt._cut cimport Above, Steps
from cbptt._network cimport Layer, PackedLayer


cdef struct Tape:       # what a layer keeps of a segment, row by row of its steps
    void* x             # (segment, D)    its inputs
    void* h             # (segment, M)    its states
    void* c             # (segment, M)    of an LSTM
    void* inner         # (segment, M)    m h_{t-1}, with dropout in the recurrence; or NULL
    void* gates         # (segment, 4 M)  of a cell with gates


cdef struct Track:      # the memory of a layer in one direction
    Tape tape
    bint recompute      # gates are kept of a chunk only, and computed again in the backward pass
    void* state         # (S, B, M)  after the steps so far
    void* mask          # (B, M)  of dropout in the recurrence; or NULL
    void* kept          # (n_segments, S, B, M)  states before each segment
    void* carry         # (C, B, M)  what the step behind a chunk sends back
    void* dh            # (segment, M)  dL/dh from the layer above; or NULL
    void* dlast         # (B, M)  dL/dh of the last steps, if only these are read; or NULL
    void* dstate        # (S, B, M)  dL/dstate_0, if it is wanted or learned
    double* dinitial    # (S M,)  their sum
    void* dinputs       # (D + 1, G M)  by the kernels: dL/dW_ih transposed, and below it dL/db_h
    double* dbias_h     # (G M,)        by BLAS only
    double* dbias_hn    # (M,)          of a GRU


cdef struct Workspace:  # what tracks use one after the other
    void* sums          # (chunk, 4 M)  W x_t of a chunk, of cells with gates
    void* da            # (chunk, M)  dL/dh from the head, and dL/da of a cell without gates
    void* dh_inner      # (B, M)
    void* left          # (rows, W M)  packed; the same memory as sums
    void* right         # (rows, M)  packed, or as it is
    void* inputs        # (rows, D + 1)  packed


cdef void recur_forward(
    Track* track,
    Workspace* work,
    Py_ssize_t at,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
    bint fold,
) noexcept nogil

cdef floating* recur_back(
    Track* track,
    Workspace* work,
    Py_ssize_t at,
    Py_ssize_t segment,
    const Above* above,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void recur_close(
    Track* track,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil

cdef void add_recurrent_derivatives(
    floating* gradient,
    Track* track,
    Workspace* work,
    Py_ssize_t at,
    Py_ssize_t segment,
    const floating* da,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil

cdef void input_derivatives(
    floating* dx,
    const floating* da,
    const floating* theta,
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t N,
) noexcept nogil

cdef void finish_recurrent_derivatives(
    floating* gradient,
    Track* track,
    const Layer* layer,
) noexcept nogil

cdef floating* kept_before(
    const Track* track,
    const floating* kind,
    Py_ssize_t segment,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil
