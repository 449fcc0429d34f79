"""The packed layout: sequences sorted by length, the rows of one step contiguous, no padding."""

from cython cimport floating


cdef Py_ssize_t pack(
    Py_ssize_t[::1] order,          # OUT (B,)     the sequences' ids, longest first
    Py_ssize_t[::1] batch_sizes,    # OUT (T,)     sequences alive at each step
    Py_ssize_t[::1] rows,           # OUT (N,)     each packed row's row in the flat buffer
    Py_ssize_t[::1] ends,           # OUT (B,)     packed row of each sequence's last step
    Py_ssize_t[::1] places,         # scratch (T + 1,)
    const Py_ssize_t[::1] ids,      # IN  (B,)     which sequences
    const Py_ssize_t[::1] offsets,  # IN  (n + 1,) where each begins in the flat buffer
) noexcept nogil

cdef void gather_rows(
    floating[:, ::1] packed,      # OUT (R, C)   packed[r] = flat[rows[r]]
    const floating[:, ::1] flat,  # IN  (*, C)
    const Py_ssize_t[::1] rows,   # IN  (R,)
) noexcept nogil

cdef void scatter_rows(
    floating[:, ::1] flat,          # OUT (*, C)   flat[rows[r]] = packed[r], 0 elsewhere
    const floating[:, ::1] packed,  # IN  (R, C)
    const Py_ssize_t[::1] rows,     # IN  (R,)
) noexcept nogil

cdef void gather_one_hot(
    floating[:, ::1] packed,     # OUT (R, C)   packed[r, flat[rows[r]]] = 1, 0 elsewhere
    const Py_ssize_t[::1] flat,  # IN  (*,)     classes; a negative one leaves its row 0
    const Py_ssize_t[::1] rows,  # IN  (R,)
) noexcept nogil
