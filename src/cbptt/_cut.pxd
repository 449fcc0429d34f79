"""How a batch is cut: into parts, a part's steps into chunks, and chunks into segments."""

from cbptt._network cimport Network


cdef struct Batch:          # sequences, sorted by length
    Py_ssize_t* ids         # (B,)  as they were passed,
    Py_ssize_t* starts      # (B,)  and where each begins in the flat buffer
    Py_ssize_t* stops       # (B,)  and ends
    Py_ssize_t* order       # (B,)  which of them, longest first
    Py_ssize_t* alive       # (T,)  how many are longer than t
    Py_ssize_t B, T, N      # sequences, steps of the longest, steps of all
    Py_ssize_t n_parts
    Py_ssize_t limit        # rows that a chunk should not exceed
    bint backward           # forward and back, or forward only


cdef struct Extent:         # of one part of a batch
    Py_ssize_t part
    Py_ssize_t B, T, N      # sequences, steps of the longest, steps of all
    Py_ssize_t chunk        # rows of its largest chunk,
    Py_ssize_t segment      # and of its largest segment
    Py_ssize_t n_chunks, n_segments


cdef struct Steps:              # some steps of a part, one after the other
    const Py_ssize_t* alive     # (T,)  sequences of each
    Py_ssize_t first            # steps of the part before them
    Py_ssize_t T, N             # how many, and their rows
    Py_ssize_t n_before         # sequences of the step before them; of the first: all
    Py_ssize_t n_after          # sequences of the step behind them


cdef Py_ssize_t parts_of(Py_ssize_t B, Py_ssize_t N, Network net, bint backward) noexcept nogil

cdef Py_ssize_t sequence_of(const Batch* batch, Py_ssize_t part, Py_ssize_t i) noexcept nogil

cdef Py_ssize_t alive_of(const Batch* batch, Py_ssize_t part, Py_ssize_t t) noexcept nogil

cdef Py_ssize_t limit_of(const Batch* batch, Network net) noexcept nogil

cdef Extent measure(const Batch* batch, Py_ssize_t part, Py_ssize_t checkpoint) noexcept nogil

cdef void cut(
    Extent* extent,
    Py_ssize_t* chunks,
    Py_ssize_t* segments,
    const Batch* batch,
    Py_ssize_t checkpoint,
) noexcept nogil

cdef Steps steps_of(
    const Py_ssize_t* alive,
    Py_ssize_t first,
    Py_ssize_t end,
    const Extent* extent,
) noexcept nogil
