"""How a batch is cut: into parts, a part's steps into chunks, and chunks into segments.

A part is what one thread computes; the cut follows from the network and the batch alone, so that
results do not depend on the number of threads. A chunk is small enough to stay in cache. Of a
segment all states are kept at a time.
"""

from cbptt._network cimport Network
from cbptt._packing cimport count_rows

cdef:
    # Rows of a chunk: a sum of products of that length is still accurate, and a chunk's h and da
    # stay in the second-level cache. BLAS, which computes the products of large networks, is
    # faster with longer sums. A short part has shorter chunks, whose memory would otherwise exceed
    # that of h.
    Py_ssize_t CHUNK = 384, CHUNK_BLAS = 1024, SHORTEST_CHUNK = 128
    # At most this many parts, each with at least this many sequences and operations; with more
    # sequences when W11 does not fit in cache, and with fewer when a batch falls into two.
    Py_ssize_t MOST_PARTS = 8, PART_ROWS = 12, PART_ROWS_LARGE = 32, FEWEST_ROWS = 8
    double PART_FLOPS = 5e7
    # Sequences that prediction runs through the steps together.
    Py_ssize_t GROUP = 64


# ---- parts ---------------------------------------------------------------------------------------

cdef Py_ssize_t parts_of(Py_ssize_t B, Py_ssize_t N, Network net, bint backward) noexcept nogil:
    """Into how many parts a batch of B sequences and N steps falls"""
    cdef Py_ssize_t parts = 1
    cdef Py_ssize_t most = min(B // (PART_ROWS_LARGE if net.uses_blas else PART_ROWS), MOST_PARTS)
    cdef double flops = N * net.training_flops
    if most < 2 and backward:
        most = min(B // FEWEST_ROWS, 2)
    while 2 * parts <= most and flops >= 2 * parts * PART_FLOPS:
        parts *= 2
    if not backward:
        parts = max(parts, (B + GROUP - 1) // GROUP)
    return parts


cdef Py_ssize_t sequence_of(const Batch* batch, Py_ssize_t part, Py_ssize_t i) noexcept nogil:
    """Which sequence of the batch is a part's i-th, longest first

    Forward and back, parts are alike: each has every n-th sequence. Forward only, a part has
    sequences of about one length.
    """
    if batch.backward:
        return batch.order[part + i * batch.n_parts]
    return batch.order[batch.B * part // batch.n_parts + i]


cdef Py_ssize_t alive_of(const Batch* batch, Py_ssize_t part, Py_ssize_t t) noexcept nogil:
    """How many sequences of a part are longer than t"""
    cdef Py_ssize_t n = batch.alive[t], parts = batch.n_parts, first, end
    if batch.backward:
        return (n - part + parts - 1) // parts
    first, end = batch.B * part // parts, batch.B * (part + 1) // parts
    return max(0, min(n, end) - first)


# ---- chunks and segments -------------------------------------------------------------------------

cdef Py_ssize_t limit_of(const Batch* batch, Network net) noexcept nogil:
    """How many rows a chunk should not exceed: a quarter of those of a large part at the most"""
    cdef Py_ssize_t most = (batch.B + batch.n_parts - 1) // batch.n_parts, t, N = 0
    for t in range(batch.T):
        N += min(batch.alive[t], most)
    return min(CHUNK_BLAS if net.uses_blas else CHUNK, max(SHORTEST_CHUNK, N // 4))


cdef Extent measure(
    const Batch* batch, Py_ssize_t part, bint whole, Py_ssize_t checkpoint
) noexcept nogil:
    """What a part of this batch takes"""
    cdef Extent e
    cdef Py_ssize_t t
    e.part = part
    e.B = alive_of(batch, part, 0)
    e.T = e.N = e.chunk = e.segment = e.n_chunks = e.n_segments = 0
    for t in range(batch.T):
        e.N += alive_of(batch, part, t)
        e.T += alive_of(batch, part, t) > 0
    cut(&e, NULL, NULL, batch, whole, checkpoint)
    return e


cdef void cut(
    Extent* e,              # INOUT  with its counts
    Py_ssize_t* chunks,     # OUT (n_chunks + 1,)    the step at which each begins; or NULL: count
    Py_ssize_t* segments,   # OUT (n_segments + 1,)  the chunk at which each begins
    const Batch* batch,
    bint whole,             # all steps are one segment: those of a network of two directions
    Py_ssize_t checkpoint,  # steps of a segment, or those of a chunk; 0: one segment of all
) noexcept nogil:
    """Cut a part's steps into chunks, and those into segments

    Chunk c has the steps chunks[c]..chunks[c + 1] - 1, and segment s the chunks
    segments[s]..segments[s + 1] - 1. Forward and back, both are cut from the end, where the way
    back begins; forward only, from the beginning, and each chunk is a segment.
    """
    if batch.backward:
        cut_from_end(e, chunks, segments, batch, 0 if whole else checkpoint)
    else:
        cut_from_beginning(e, chunks, segments, batch, whole)


cdef void cut_from_beginning(
    Extent* e, Py_ssize_t* chunks, Py_ssize_t* segments, const Batch* batch, bint whole
) noexcept nogil:
    cdef Py_ssize_t t = 0, n, c = 0
    while t < e.T:
        if chunks != NULL:
            chunks[c], segments[0 if whole else c] = t, 0 if whole else c
        n = alive_of(batch, e.part, t)
        t += 1
        while t < e.T and n + alive_of(batch, e.part, t) <= batch.limit:
            n += alive_of(batch, e.part, t)
            t += 1
        e.chunk = max(e.chunk, n)
        c += 1
    if chunks != NULL:
        chunks[c], segments[1 if whole else c] = e.T, c
    e.segment = e.N if whole else e.chunk
    e.n_chunks, e.n_segments = c, 1 if whole else c


cdef void cut_from_end(
    Extent* e,
    Py_ssize_t* chunks,
    Py_ssize_t* segments,
    const Batch* batch,
    Py_ssize_t checkpoint,
) noexcept nogil:
    cdef Py_ssize_t t = e.T, end = e.T, t_end, n, rows = 0
    cdef Py_ssize_t c = e.n_chunks, s = e.n_segments  # those before the one at hand
    if chunks != NULL:
        chunks[c], segments[s] = e.T, c
    while t > 0:
        # a chunk: one step, and those before it for which there is room
        t_end = t
        t -= 1
        n = alive_of(batch, e.part, t)
        while t > 0 and n + alive_of(batch, e.part, t - 1) <= batch.limit:
            t -= 1
            n += alive_of(batch, e.part, t)

        # it begins a segment, or belongs to the one behind it
        if rows == 0 or (checkpoint > 0 and end - t > checkpoint):
            end, rows = t_end, 0
            s -= 1
        rows += n
        c -= 1
        if chunks != NULL:
            chunks[c], segments[s] = t, c
        e.chunk = max(e.chunk, n)
        e.segment = max(e.segment, rows)
    if chunks == NULL:
        e.n_chunks, e.n_segments = -c, -s  # counted from 0 down


cdef Steps steps_of(const Layout* layout, Py_ssize_t chunk) noexcept nogil:
    """The steps of a chunk"""
    cdef Py_ssize_t first = layout.chunks[chunk], end = layout.chunks[chunk + 1]
    return Steps(
        B=layout.extent.B,
        alive=layout.alive + first,
        first=first,
        T=end - first,
        N=count_rows(layout.alive, first, end),
        n_before=layout.alive[first - 1] if first > 0 else layout.extent.B,
        n_after=layout.alive[end] if end < layout.extent.T else 0,
    )


cdef Py_ssize_t rows_of(const Layout* layout, Py_ssize_t segment) noexcept nogil:
    """How many rows a segment has"""
    return count_rows(layout.alive, layout.chunks[layout.segments[segment]],
                      layout.chunks[layout.segments[segment + 1]])
