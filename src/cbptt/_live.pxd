"""One step of live sequences."""

from cython cimport floating

from cbptt._arena cimport Arena, Store
from cbptt._network cimport Network, Packed
from cbptt._recurrence cimport Track


cdef struct Stepping:   # the work memory of a step of n sequences
    Py_ssize_t n
    Track* tracks       # (n_tracks,)  in their state: that before the step, and after it
    void* z             # (n, K)


cdef class Parameters:
    cdef readonly object theta
    cdef bint shared    # whether somebody may write to theta


cdef class Live:
    cdef:
        Network net
        Parameters parameters
        object empty, dtype, one_out, one_h  # the last two: what empty takes for n = 1
        Py_buffer theta                      # the parameters, as they are now
        Store store
        Packed packed                        # as they were when they were packed,
        void* seen                           # from these values
        bint single, holds_theta

    cdef void _place(self, Arena* arena) noexcept
    cdef void _pack(self) noexcept
    cdef void follow(self) noexcept


cdef void place_step(Stepping* s, Arena* arena, Network net, Py_ssize_t n) noexcept nogil

cdef void load_states(
    Stepping* s,
    const floating* states,
    Network net,
    Py_ssize_t n,
) noexcept nogil

cdef void store_states(
    floating* states,
    const Stepping* s,
    Network net,
    Py_ssize_t n,
) noexcept nogil

cdef floating* advance(
    Stepping* s,
    const floating* x,
    const Packed* packed,
    Network net,
    Py_ssize_t n,
) noexcept nogil
