"""The packed layout: sequences sorted by length, the rows of one step contiguous, no padding.

Sequences come longest first, so the batch_sizes[t] sequences still alive at step t are the first
batch_sizes[t] of those alive at step t - 1. Row i of step t belongs to sequence order[i].
"""

from cython cimport floating
from libc.string cimport memcpy, memset


cdef Py_ssize_t longest(
    const Py_ssize_t* starts,   # IN  (B,)
    const Py_ssize_t* stops,    # IN  (B,)
    Py_ssize_t B,
) noexcept nogil:
    """T, the length of the longest of the sequences"""
    cdef Py_ssize_t i, T = 0
    for i in range(B):
        T = max(T, stops[i] - starts[i])
    return T


cdef Py_ssize_t count_steps(
    const Py_ssize_t* starts,   # IN  (B,)
    const Py_ssize_t* stops,    # IN  (B,)
    Py_ssize_t B,
) noexcept nogil:
    """N, the steps of all the sequences"""
    cdef Py_ssize_t i, N = 0
    for i in range(B):
        N += stops[i] - starts[i]
    return N


cdef bint are_within(
    const Py_ssize_t* ids,      # IN  (B,)
    Py_ssize_t B,
    const Py_ssize_t* starts,   # IN  (n,)
    const Py_ssize_t* stops,    # IN  (n,)
    Py_ssize_t n,
    Py_ssize_t n_steps,
) noexcept nogil:
    """Whether the ids are those of n sequences, of one step at least, in a buffer of n_steps"""
    cdef Py_ssize_t i, s
    for i in range(B):
        s = ids[i]
        if s < 0 or s >= n or starts[s] < 0 or starts[s] >= stops[s] or stops[s] > n_steps:
            return False
    return True


cdef bint copy_sequences(
    Py_ssize_t* own_ids,            # OUT (B,)
    Py_ssize_t* own_starts,         # OUT (B,)
    Py_ssize_t* own_stops,          # OUT (B,)
    const Py_ssize_t* ids,          # IN  (B,)
    Py_ssize_t B,
    const Py_ssize_t* starts,       # IN  (n,)
    const Py_ssize_t* stops,        # IN  (n,)
    Py_ssize_t n,
    Py_ssize_t n_steps,
) noexcept nogil:
    """Copy where sequences lie, and compare the copies: the arrays may change meanwhile"""
    cdef Py_ssize_t i, s
    for i in range(B):
        s = own_ids[i] = ids[i]
        if s < 0 or s >= n:
            return False
        own_starts[i], own_stops[i] = starts[s], stops[s]
        if own_starts[i] < 0 or own_starts[i] >= own_stops[i] or own_stops[i] > n_steps:
            return False
    return True


cdef Py_ssize_t count_rows(
    const Py_ssize_t* batch_sizes,  # IN  (T,)
    Py_ssize_t t,
    Py_ssize_t t_end,
) noexcept nogil:
    """How many rows the steps t..t_end - 1 have"""
    cdef Py_ssize_t i, n = 0
    for i in range(t, t_end):
        n += batch_sizes[i]
    return n


cdef void sort_by_length(
    Py_ssize_t* order,          # OUT (B,)      which of the B sequences, longest first
    Py_ssize_t* batch_sizes,    # OUT (T,)      how many are longer than t
    Py_ssize_t* places,         # scratch (T,)
    const Py_ssize_t* starts,   # IN  (B,)      where each begins in the flat buffer
    const Py_ssize_t* stops,    # IN  (B,)      and ends
    Py_ssize_t B,
    Py_ssize_t T,
) noexcept nogil:
    """A stable counting sort: equal lengths keep their order"""
    cdef Py_ssize_t i, t, length
    memset(batch_sizes, 0, T * sizeof(Py_ssize_t))
    for i in range(B):
        batch_sizes[stops[i] - starts[i] - 1] += 1
    for t in range(T - 1, 0, -1):
        batch_sizes[t - 1] += batch_sizes[t]

    # The sequences of a length are placed behind all longer ones.
    memcpy(places, batch_sizes + 1, (T - 1) * sizeof(Py_ssize_t))
    places[T - 1] = 0
    for i in range(B):
        length = stops[i] - starts[i]
        order[places[length - 1]] = i
        places[length - 1] += 1


cdef inline void copy_row(
    floating* to,         # OUT (C,)
    const floating* row,  # IN  (C,)
    Py_ssize_t C,
) noexcept nogil:
    """Rows are often a few numbers, for which a call of memcpy takes longer than the copy"""
    cdef Py_ssize_t c = 0
    if C > 32:
        memcpy(to, row, C * sizeof(floating))
        return
    while c + 4 <= C:
        memcpy(to + c, row + c, 4 * sizeof(floating))
        c += 4
    if C & 2:
        memcpy(to + c, row + c, 2 * sizeof(floating))
        c += 2
    if C & 1:
        to[c] = row[c]


cdef void gather_rows(
    floating* packed,        # OUT (R, C), rows ld apart  packed[r] = flat[rows[r]]
    Py_ssize_t ld,
    const floating* flat,    # IN  (*, C), rows ld_flat apart
    Py_ssize_t ld_flat,
    const Py_ssize_t* rows,  # IN  (R,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(R):
        copy_row(packed + r * ld, flat + rows[r] * ld_flat, C)


cdef void repeat_row(
    floating* packed,     # OUT (R, C), rows ld apart  packed[r] = row
    Py_ssize_t ld,
    const floating* row,  # IN  (C,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(R):
        copy_row(packed + r * ld, row, C)


cdef void scatter_rows(
    floating* flat,          # INOUT (*, C), rows ld_flat apart  flat[rows[r]] = packed[r]
    Py_ssize_t ld_flat,
    const floating* packed,  # IN    (R, C), rows ld apart
    Py_ssize_t ld,
    const Py_ssize_t* rows,  # IN    (R,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil:
    cdef Py_ssize_t r
    for r in range(R):
        copy_row(flat + rows[r] * ld_flat, packed + r * ld, C)


cdef void add_scattered(
    floating* flat,          # INOUT (*, C), rows ld_flat apart  flat[rows[r]] += packed[r]
    Py_ssize_t ld_flat,
    const floating* packed,  # IN    (R, C), rows ld apart
    Py_ssize_t ld,
    const Py_ssize_t* rows,  # IN    (R,)  no row twice
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil:
    cdef Py_ssize_t r, c
    cdef floating* to
    for r in range(R):
        to = flat + rows[r] * ld_flat
        for c in range(C):
            to[c] += packed[r * ld + c]


cdef void gather_one_hot(
    floating* packed,        # OUT (R, C), rows ld apart  packed[r, flat[rows[r]]] = 1, 0 elsewhere
    Py_ssize_t ld,
    const Py_ssize_t* flat,  # IN  (*,)  classes; one that is none of C leaves its row 0
    const Py_ssize_t* rows,  # IN  (R,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil:
    cdef Py_ssize_t r, label
    memset(packed, 0, R * ld * sizeof(floating))
    for r in range(R):
        label = flat[rows[r]]
        if 0 <= label < C:
            packed[r * ld + label] = 1


cdef bint are_finite(const floating* x, Py_ssize_t n) noexcept nogil:
    """Whether none of the numbers is NaN or infinite"""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd |= not x[i] - x[i] == 0
    return not odd


cdef bint are_from_0_to_1(const floating* x, Py_ssize_t n) noexcept nogil:
    """Whether all numbers lie in [0, 1]"""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd |= not 0 <= x[i] <= 1
    return not odd


def all_finite(const floating[::1] x):
    """Return whether none of some numbers is NaN or infinite.

    Parameters
    ----------
    x : (n,)
    """
    cdef bint finite = True
    if x.shape[0] > 0:
        with nogil:
            finite = are_finite(&x[0], x.shape[0])
    return finite
