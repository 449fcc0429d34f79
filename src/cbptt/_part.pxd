"""One part of a batch: forward, loss, and back."""

from cython cimport floating

from cbptt._arena cimport Arena
from cbptt._cut cimport Batch, Extent
from cbptt._head cimport Outputs, Targets
from cbptt._inputs cimport Inputs
from cbptt._network cimport Head, Layer, Packed
from cbptt._stack cimport Stack
from cbptt._team cimport Team


cdef struct Given:              # what a part reads
    Inputs inputs
    Targets targets
    Py_ssize_t checkpoint       # steps of a segment; 0: all


cdef struct Wanted:             # what is computed beside gradient and loss; NULL: it is not wanted
    void* hidden                # (steps, M)  h1
    void* predictions           # (steps, K), or (n, K) unless EVERY: h2, or a2
    bint activated              # whether it is h2
    void* final                 # (n, M)  states after the last steps
    void* carried               # (n, M)  states after `carry` steps, of sequences that have them
    Py_ssize_t carry
    void* dh0                   # (n, M)  dL/dh_0
    void* dx                    # (steps, D)  dL/dx


cdef struct Part:
    const Batch* batch          # which it is a part of
    const Given* given
    const Wanted* wanted
    const Packed* packed
    const Layer* layer
    const Head* head
    Extent extent
    Py_ssize_t* order           # (B,)  ids, longest first
    Py_ssize_t* lengths         # (B,)
    Py_ssize_t* alive           # (T,)  sequences alive at each step
    Py_ssize_t* rows            # (N,)  each packed row's row in the flat buffer
    Py_ssize_t* chunks          # (n_chunks + 1,)
    Py_ssize_t* segments        # (n_segments + 1,)
    Stack stack
    Outputs outputs


cdef void place(Part* part, Arena* arena, Py_ssize_t itemsize) noexcept nogil

cdef void run_part(
    floating* gradient,
    double* losses,
    Part* part,
    const floating* theta,
    Team team,
    Py_ssize_t thread,
) noexcept nogil
