"""The hidden states of a sequence as one: their mean, or the largest of each unit.

Steps come a chunk at a time: the steps first..first + T - 1 of sequences that are sorted by length,
with rows L apart. Who has ended has no row any more, so each is pooled over its own steps.
"""

from cython cimport floating
from libc.string cimport memcpy

from cbptt._plan cimport MEAN


cdef void pool_steps(
    floating* pooled,               # INOUT (B, M)  MAX: the largest so far
    double* sums,                   # INOUT (B, M)  MEAN: the sums so far
    const floating* h,              # IN    (N, M)  h1 of the steps first..first + T - 1
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    Py_ssize_t first,
    Py_ssize_t T,
    Py_ssize_t L,                   # numbers from row to row of each
    int readout,
) noexcept nogil:
    """MEAN: sums += h_t;  MAX: pooled = max(pooled, h_t)"""
    cdef Py_ssize_t t, i, n
    cdef const floating* h_t = h
    for t in range(T):
        n = batch_sizes[t] * L
        if readout == MEAN:
            for i in range(n):
                sums[i] = sums[i] + h_t[i] if first + t > 0 else h_t[i]
        elif first + t == 0:
            memcpy(pooled, h_t, n * sizeof(floating))
        else:
            for i in range(n):
                pooled[i] = h_t[i] if h_t[i] > pooled[i] else pooled[i]
        h_t += n


cdef void finish_mean(
    floating* pooled,           # OUT (B, M)  sums / T
    const double* sums,         # IN  (B, M)
    const Py_ssize_t* order,    # IN  (B,)
    const Py_ssize_t* starts,   # IN  (n,)
    const Py_ssize_t* stops,    # IN  (n,)
    Py_ssize_t B,
    Py_ssize_t L,
) noexcept nogil:
    """pooled = 1/T sum_t h_t"""
    cdef Py_ssize_t b, i, T
    for b in range(B):
        T = stops[order[b]] - starts[order[b]]
        for i in range(b * L, (b + 1) * L):
            pooled[i] = <floating> (sums[i] / T)


cdef void spread_steps(
    floating* dh,                   # OUT   (N, M)
    floating* dpooled,              # INOUT (B, M)  MAX: 0 once it has been handed on
    const floating* pooled,         # IN    (B, M)  MAX
    const floating* h,              # IN    (N, M)  MAX
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    const Py_ssize_t* order,        # IN    (B,)
    const Py_ssize_t* starts,       # IN    (n,)
    const Py_ssize_t* stops,        # IN    (n,)
    Py_ssize_t T,
    Py_ssize_t L,
    int readout,
) noexcept nogil:
    """dL/dh_t of the pooled states: 1/T of it each, or all to the largest, of equals the last

    Chunks come from the last one back.
    """
    cdef Py_ssize_t t, b, i, row = 0
    cdef floating share
    cdef floating* dh_t
    cdef const floating* h_t
    for t in range(T):
        row += batch_sizes[t]
    for t in range(T - 1, -1, -1):
        row -= batch_sizes[t]
        dh_t = dh + row * L
        # forward: pooled = 1/T sum_t h_t
        # forward: pooled = max_t h_t
        if readout == MEAN:
            for b in range(batch_sizes[t]):
                share = <floating> (1. / (stops[order[b]] - starts[order[b]]))
                for i in range(b * L, (b + 1) * L):
                    dh_t[i] = dpooled[i] * share
        else:
            h_t = h + row * L
            for i in range(batch_sizes[t] * L):
                dh_t[i] = dpooled[i] if h_t[i] == pooled[i] else 0
                dpooled[i] = 0 if h_t[i] == pooled[i] else dpooled[i]
