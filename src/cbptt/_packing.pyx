"""The packed layout: sequences sorted by length, the rows of one step contiguous, no padding.

Sequences come longest first, so the batch_sizes[t] sequences still alive at step t are the first
batch_sizes[t] of those alive at step t - 1. Row i of step t belongs to sequence order[i].
"""

from cython cimport floating
from libc.string cimport memcpy, memset


cdef Py_ssize_t pack(
    Py_ssize_t[::1] order,          # OUT (B,)     the sequences' ids, longest first
    Py_ssize_t[::1] batch_sizes,    # OUT (T,)     sequences alive at each step
    Py_ssize_t[::1] rows,           # OUT (N,)     each packed row's row in the flat buffer
    Py_ssize_t[::1] ends,           # OUT (B,)     packed row of each sequence's last step
    Py_ssize_t[::1] places,         # scratch (T + 1,)
    const Py_ssize_t[::1] ids,      # IN  (B,)     which sequences
    const Py_ssize_t[::1] offsets,  # IN  (n + 1,) where each begins in the flat buffer
) noexcept nogil:
    """Lay out a batch; return N. A stable counting sort: equal lengths keep the order of ids."""
    cdef:
        Py_ssize_t B = ids.shape[0], T = batch_sizes.shape[0]
        Py_ssize_t i, t, length, first

    # batch_sizes[t] = how many sequences are longer than t
    memset(&batch_sizes[0], 0, T * sizeof(Py_ssize_t))
    for i in range(B):
        batch_sizes[offsets[ids[i] + 1] - offsets[ids[i]] - 1] += 1
    for t in range(T - 1, 0, -1):
        batch_sizes[t - 1] += batch_sizes[t]

    # The sequences of a length are placed behind all longer ones.
    memcpy(&places[0], &batch_sizes[0], T * sizeof(Py_ssize_t))
    places[T] = 0
    for i in range(B):
        length = offsets[ids[i] + 1] - offsets[ids[i]]
        order[places[length]] = ids[i]
        places[length] += 1

    first = 0
    for t in range(T):
        for i in range(batch_sizes[t]):
            rows[first + i] = offsets[order[i]] + t
        for i in range(batch_sizes[t + 1] if t + 1 < T else 0, batch_sizes[t]):
            ends[i] = first + i
        first += batch_sizes[t]
    return first


cdef void gather_rows(
    floating[:, ::1] packed,      # OUT (R, C)   packed[r] = flat[rows[r]]
    const floating[:, ::1] flat,  # IN  (*, C)
    const Py_ssize_t[::1] rows,   # IN  (R,)
) noexcept nogil:
    cdef Py_ssize_t r, C = packed.shape[1]
    for r in range(rows.shape[0]):
        memcpy(&packed[r, 0], &flat[rows[r], 0], C * sizeof(floating))


cdef void scatter_rows(
    floating[:, ::1] flat,          # OUT (*, C)   flat[rows[r]] = packed[r], 0 elsewhere
    const floating[:, ::1] packed,  # IN  (R, C)
    const Py_ssize_t[::1] rows,     # IN  (R,)
) noexcept nogil:
    cdef Py_ssize_t r, C = packed.shape[1]
    memset(&flat[0, 0], 0, flat.shape[0] * C * sizeof(floating))
    for r in range(rows.shape[0]):
        memcpy(&flat[rows[r], 0], &packed[r, 0], C * sizeof(floating))


cdef void gather_one_hot(
    floating[:, ::1] packed,     # OUT (R, C)   packed[r, flat[rows[r]]] = 1, 0 elsewhere
    const Py_ssize_t[::1] flat,  # IN  (*,)     classes; a negative one leaves its row 0
    const Py_ssize_t[::1] rows,  # IN  (R,)
) noexcept nogil:
    cdef Py_ssize_t r, C = packed.shape[1]
    memset(&packed[0, 0], 0, rows.shape[0] * C * sizeof(floating))
    for r in range(rows.shape[0]):
        if flat[rows[r]] >= 0:
            packed[r, flat[rows[r]]] = 1


def layout(
    Py_ssize_t[::1] order,
    Py_ssize_t[::1] batch_sizes,
    Py_ssize_t[::1] rows,
    Py_ssize_t[::1] ends,
    Py_ssize_t[::1] places,
    const Py_ssize_t[::1] ids,
    const Py_ssize_t[::1] offsets,
):
    """Fill order, batch_sizes, rows and ends for the sequences ids; return the number of rows."""
    with nogil:
        n_rows = pack(order, batch_sizes, rows, ends, places, ids, offsets)
    return n_rows
