"""The packed layout: sequences sorted by length, the rows of one step contiguous, no padding."""

from cython cimport floating


cdef Py_ssize_t longest(
    const Py_ssize_t* starts,   # IN  (B,)
    const Py_ssize_t* stops,    # IN  (B,)
    Py_ssize_t B,
) noexcept nogil

cdef Py_ssize_t count_steps(
    const Py_ssize_t* starts,   # IN  (B,)
    const Py_ssize_t* stops,    # IN  (B,)
    Py_ssize_t B,
) noexcept nogil

cdef bint are_within(
    const Py_ssize_t* ids,      # IN  (B,)
    Py_ssize_t B,
    const Py_ssize_t* starts,   # IN  (n,)
    const Py_ssize_t* stops,    # IN  (n,)
    Py_ssize_t n,
    Py_ssize_t n_steps,
) noexcept nogil

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
) noexcept nogil

cdef Py_ssize_t count_rows(
    const Py_ssize_t* batch_sizes,  # IN  (T,)
    Py_ssize_t t,
    Py_ssize_t t_end,
) noexcept nogil

cdef void sort_by_length(
    Py_ssize_t* order,          # OUT (B,)      which of the B sequences, longest first
    Py_ssize_t* batch_sizes,    # OUT (T,)      how many are longer than t
    Py_ssize_t* places,         # scratch (T,)
    const Py_ssize_t* starts,   # IN  (B,)      where each begins in the flat buffer
    const Py_ssize_t* stops,    # IN  (B,)      and ends
    Py_ssize_t B,
    Py_ssize_t T,
) noexcept nogil

cdef void gather_rows(
    floating* packed,        # OUT (R, C), rows ld apart  packed[r] = flat[rows[r]]
    Py_ssize_t ld,
    const floating* flat,    # IN  (*, C), rows ld_flat apart
    Py_ssize_t ld_flat,
    const Py_ssize_t* rows,  # IN  (R,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil

cdef void repeat_row(
    floating* packed,     # OUT (R, C), rows ld apart  packed[r] = row
    Py_ssize_t ld,
    const floating* row,  # IN  (C,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil

cdef void scatter_rows(
    floating* flat,          # INOUT (*, C), rows ld_flat apart  flat[rows[r]] = packed[r]
    Py_ssize_t ld_flat,
    const floating* packed,  # IN    (R, C), rows ld apart
    Py_ssize_t ld,
    const Py_ssize_t* rows,  # IN    (R,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil

cdef void add_scattered(
    floating* flat,          # INOUT (*, C), rows ld_flat apart  flat[rows[r]] += packed[r]
    Py_ssize_t ld_flat,
    const floating* packed,  # IN    (R, C), rows ld apart
    Py_ssize_t ld,
    const Py_ssize_t* rows,  # IN    (R,)  no row twice
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil

cdef void gather_one_hot(
    floating* packed,        # OUT (R, C), rows ld apart  packed[r, flat[rows[r]]] = 1, 0 elsewhere
    Py_ssize_t ld,
    const Py_ssize_t* flat,  # IN  (*,)  classes; one that is none of C leaves its row 0
    const Py_ssize_t* rows,  # IN  (R,)
    Py_ssize_t R,
    Py_ssize_t C,
) noexcept nogil

cdef bint are_finite(const floating* x, Py_ssize_t n) noexcept nogil

cdef bint are_from_0_to_1(const floating* x, Py_ssize_t n) noexcept nogil
