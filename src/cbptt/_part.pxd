"""One part of a batch: forward, loss, and back."""

from cython cimport floating

from cbptt._arena cimport Arena
from cbptt._cut cimport Batch, Layout
from cbptt._head cimport Outputs, Targets
from cbptt._inputs cimport Inputs
from cbptt._network cimport Network, Packed
from cbptt._stack cimport Stack
from cbptt._team cimport Team


cdef struct Given:              # what a part reads
    Inputs inputs
    Targets targets


cdef struct Wanted:             # what is computed beside gradient and loss; NULL: it is not wanted
    void* hidden                # (steps, M)  h1 of the uppermost layer
    void* predictions           # (steps, K), or (n, K) unless EVERY: h2, or a2
    bint activated              # whether it is h2
    void* final                 # (n, state_width)  states after the last steps
    void* carried               # (n, state_width)  states after `carry` steps, if there are as many
    Py_ssize_t carry
    void* dh0                   # (n, state_width)  dL/dh_0
    void* dx                    # (steps, D)  dL/dx


cdef struct Part:
    const Batch* batch          # which it is a part of
    const Given* given
    const Wanted* wanted
    const Packed* packed
    Layout layout
    Stack stack
    Outputs outputs


cdef void place(Part* part, Arena* arena, Network net) noexcept nogil

cdef void run_part(
    floating* gradient,
    double* losses,
    Part* part,
    const floating* theta,
    Network net,
    Team team,
    Py_ssize_t thread,
) noexcept nogil
