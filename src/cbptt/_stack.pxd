"""The recurrent layers of a part, chunk by chunk: forward, and back."""

from cython cimport floating

from cbptt._cut cimport Steps
from cbptt._elman cimport Above
from cbptt._inputs cimport Inputs
from cbptt._network cimport Layer, Packed
from cbptt._recurrence cimport Sums, Tape


cdef struct Stack:      # the memory of a part's layers
    Py_ssize_t B        # sequences
    void* state         # (S, B, M)  after the steps so far
    void* kept          # (n_segments, S, B, M)  before each segment
    void* mask          # (B, M)  of dropout in the recurrence; or NULL
    Tape tape
    void* da            # (chunk, G M)  dL/da1
    void* carry         # (C, B, M)  what the step behind a chunk sends back
    void* dh_inner      # (B, M)  with a mask
    void* dstate        # (S, B, M)  dL/dh_0, if it is wanted or learned
    double* dinitial    # (S M,)  their sum
    Sums sums


cdef void start_states(
    Stack* stack,
    const floating* theta,
    const Inputs* inputs,
    const Py_ssize_t* order,
    const Layer* layer,
) noexcept nogil

cdef void keep_states(
    Stack* stack,
    const floating* kind,
    Py_ssize_t segment,
    const Layer* layer,
) noexcept nogil

cdef void restore_states(
    Stack* stack,
    const floating* kind,
    Py_ssize_t segment,
    const Layer* layer,
) noexcept nogil

cdef const floating* forward_chunk(
    Stack* stack,
    const Steps* steps,
    Py_ssize_t at,
    const floating* theta,
    const Packed* packed,
    const Layer* layer,
) noexcept nogil

cdef void backward_chunk(
    floating* gradient,
    floating* dx,
    Stack* stack,
    const Above* above,
    const Steps* steps,
    Py_ssize_t segment,
    Py_ssize_t at,
    const floating* theta,
    const Packed* packed,
    const Layer* layer,
) noexcept nogil

cdef void finish_layers(
    floating* gradient,
    Stack* stack,
    bint wanted,
    bint given,
    const floating* theta,
    const Packed* packed,
    const Layer* layer,
) noexcept nogil
