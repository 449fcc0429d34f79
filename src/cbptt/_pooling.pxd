"""The hidden states of a sequence as one: their mean, or the largest of each unit."""

from cython cimport floating


cdef void pool_steps(
    floating* pooled,               # INOUT (B, M)  MAX: the largest so far
    double* sums,                   # INOUT (B, M)  MEAN: the sums so far
    const floating* h,              # IN    (N, M)  h1 of the steps first..first + T - 1
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    Py_ssize_t first,
    Py_ssize_t T,
    Py_ssize_t L,                   # numbers from row to row of each
    int readout,
) noexcept nogil

cdef void finish_mean(
    floating* pooled,           # OUT (B, M)  sums / T
    const double* sums,         # IN  (B, M)
    const Py_ssize_t* order,    # IN  (B,)
    const Py_ssize_t* starts,   # IN  (n,)
    const Py_ssize_t* stops,    # IN  (n,)
    Py_ssize_t B,
    Py_ssize_t L,
) noexcept nogil

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
) noexcept nogil
