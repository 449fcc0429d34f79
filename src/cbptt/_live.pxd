"""One step of live sequences."""

from cython cimport floating

from cbptt._plan cimport Network


cdef class Parameters:
    cdef readonly object theta
    cdef bint shared  # whether somebody may write to theta


cdef void advance(
    floating* h_t,           # OUT (n, M)  rows of M numbers padded(M) apart
    floating* z,             # OUT (n, K)  a2_t, likewise
    const floating* x,       # IN  (n, D)
    const floating* h_prev,  # IN  (n, M)  as h_t; between its rows are finite numbers
    const floating* packed,  # IN  from `pack`
    Network net,
    Py_ssize_t n,
) noexcept nogil

cpdef Py_ssize_t packed_size(Network net)
