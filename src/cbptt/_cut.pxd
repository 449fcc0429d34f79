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


cdef struct Layout:         # a part, laid out: packed rows, and how they are cut
    Extent extent
    Py_ssize_t* order       # (B,)  ids, longest first
    Py_ssize_t* lengths     # (B,)
    Py_ssize_t* alive       # (T,)  sequences alive at each step
    Py_ssize_t* rows        # (N,)  each packed row's row in the flat buffer
    Py_ssize_t* mirror      # (N,)  the packed row of the same sequence, its steps reversed; or NULL
    Py_ssize_t* begins      # (T,)  the first row of each step; with `mirror`
    Py_ssize_t* chunks      # (n_chunks + 1,)
    Py_ssize_t* segments    # (n_segments + 1,)


cdef struct Steps:              # some steps of a part, one after the other
    Py_ssize_t B                # sequences of the part
    const Py_ssize_t* alive     # (T,)  sequences of each
    Py_ssize_t first            # steps of the part before them
    Py_ssize_t T, N             # how many, and their rows
    Py_ssize_t n_before         # sequences of the step before them; of the first: all
    Py_ssize_t n_after          # sequences of the step behind them


cdef struct Above:          # dL/dh_t, from what reads the states
    const void* dh          # (N, M), may be where dL/da is written; or (B, M) where `last`
    const void* dz          # (N, K), or (B, K) where `last`: dL/da2_t, and
    const void* ho_back     # W1 packed, if dL/dh_t = dL/da2_t W1 is still to be computed; or NULL
    Py_ssize_t K
    bint last               # only the last state of each sequence is read


cdef Py_ssize_t parts_of(Py_ssize_t B, Py_ssize_t N, Network net, bint backward) noexcept nogil

cdef Py_ssize_t sequence_of(const Batch* batch, Py_ssize_t part, Py_ssize_t i) noexcept nogil

cdef Py_ssize_t alive_of(const Batch* batch, Py_ssize_t part, Py_ssize_t t) noexcept nogil

cdef Py_ssize_t limit_of(const Batch* batch, Network net) noexcept nogil

cdef Extent measure(
    const Batch* batch, Py_ssize_t part, bint whole, Py_ssize_t checkpoint
) noexcept nogil

cdef void cut(
    Extent* extent,
    Py_ssize_t* chunks,
    Py_ssize_t* segments,
    const Batch* batch,
    bint whole,
    Py_ssize_t checkpoint,
) noexcept nogil

cdef Steps steps_of(const Layout* layout, Py_ssize_t chunk) noexcept nogil

cdef Py_ssize_t rows_of(const Layout* layout, Py_ssize_t segment) noexcept nogil
