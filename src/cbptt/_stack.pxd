"""The recurrent layers of a part, in one direction or in two."""

from cython cimport floating

from cbptt._arena cimport Arena
from cbptt._cut cimport Above, Layout, Steps
from cbptt._inputs cimport Inputs
from cbptt._network cimport Network, Packed
from cbptt._recurrence cimport Track, Workspace
from cbptt._team cimport Team


cdef struct Stack:      # the memory of a part's layers
    const Packed* packed
    const Inputs* inputs
    const Layout* layout
    Track* tracks       # (n_tracks,)
    Workspace work
    void** ys           # (n_layers,)  of two directions: what each layer puts out, (segment, 2 M)
    void* dy            # (segment, 2 M)  dL/dy of the layer at hand
    void* dx            # (chunk, ldx)    what one direction sends to it


cdef void place_stack(
    Stack* stack,
    Arena* arena,
    Network net,
    bint backward,
    bint dstate,
) noexcept nogil

cdef void start_states(
    Stack* stack,
    const floating* theta,
    Network net,
) noexcept nogil

cdef void keep_states(
    Stack* stack,
    const floating* kind,
    Py_ssize_t segment,
    Network net,
) noexcept nogil

cdef void restore_states(
    Stack* stack,
    const floating* kind,
    Py_ssize_t segment,
    Network net,
) noexcept nogil

cdef void take_states(
    floating* states,
    const Stack* stack,
    bint derivatives,
    Network net,
) noexcept nogil

cdef void forward_layers(
    Stack* stack,
    Py_ssize_t segment,
    Py_ssize_t row,
    const floating* theta,
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil

cdef floating* top_rows(
    const Stack* stack, const floating* kind, Network net
) noexcept nogil

cdef void last_states(
    floating* last,
    const Stack* stack,
    Py_ssize_t B,
    Network net,
) noexcept nogil

cdef void backward_chunk(
    floating* gradient,
    floating* dx,
    Stack* stack,
    Py_ssize_t i,
    const Above* above,
    const Steps* steps,
    Py_ssize_t segment,
    Py_ssize_t row,
    Py_ssize_t at,
    const floating* theta,
    Network net,
) noexcept nogil

cdef void start_derivatives(
    Stack* stack,
    const floating* kind,
    Network net,
) noexcept nogil

cdef void split_derivatives(
    Stack* stack,
    const floating* kind,
    Py_ssize_t k,
    const floating* dlast,
    Network net,
) noexcept nogil

cdef void finish_layers(
    floating* gradient,
    Stack* stack,
    bint wanted,
    bint given,
    const floating* theta,
    Network net,
) noexcept nogil
