"""The two recurrences of the single-hidden-layer network."""

from cython cimport floating


cdef bint folds(Py_ssize_t B) noexcept nogil

cdef void multiply(
    floating* to,       # OUT (n,)  to = a m, elementwise
    const floating* a,  # IN  (n,)  may be to
    const floating* m,  # IN  (n,)
    Py_ssize_t n,
) noexcept nogil

cdef void recur_back(
    floating* dh,                # OUT (n, M)
    const floating* da_next,     # IN  (n, M)
    const floating* weight_hh,   # IN  (M, M)
    const floating* packed_hh,   # IN  W11 packed; or NULL
    const floating* mask,        # IN  (n, M); or NULL
    Py_ssize_t n,
    Py_ssize_t M,
) noexcept nogil

cdef void elman_forward(
    floating* h,                    # OUT (N, M)
    floating* inner,                # OUT (N, M)  m h, what W11 reads; or NULL: h itself
    const floating* h_0,            # IN  (B, M)  what W11 reads at the first of these steps
    const floating* x,              # IN  (N, D), rows D apart
    const floating* bias_h,         # IN  (L,)    b0, padded
    const floating* weight_ih,      # IN  (M, D)  W0
    const floating* weight_hh,      # IN  (M, M)  W11
    const floating* packed_ih,      # IN  W0' packed; or NULL
    const floating* packed_hh,      # IN  W11' packed; or NULL
    const floating* mask,           # IN  (B, M)  m, of dropout in the recurrence; or NULL: ones
    const Py_ssize_t* batch_sizes,  # IN  (T,)    sequences alive at each step
    Py_ssize_t T,
    Py_ssize_t N,
    Py_ssize_t D,
    Py_ssize_t M,
    int f,                          # the hidden activation
) noexcept nogil

cdef void elman_backward(
    floating* da,                   # INOUT (N, M)  in: dL/dh from the outputs, where they are
                                    #       read; out: dL/da
    const floating* da_after,       # IN    (n_after, M)  dL/da of the step behind these
    const floating* dz,             # IN    (N, K), or (B, K) where last
    const floating* dh,             # IN    (B, M)  dL/dh of the last steps; or NULL
    const floating* h,              # IN    (N, M)  from elman_forward
    const floating* weight_hh,      # IN    (M, M)  W11
    const floating* packed_ho,      # IN    W1 packed, and dz W1 is added; or NULL: dL/dh is given
    const floating* packed_hh,      # IN    W11 packed; or NULL
    const floating* mask,           # IN    (B, M)  as forward, and
    floating* dh_inner,             # scratch (B, M); or NULL
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    Py_ssize_t n_after,             # sequences alive behind these steps
    Py_ssize_t T,
    Py_ssize_t N,
    Py_ssize_t M,
    Py_ssize_t K,
    int f,
    bint last,                      # only last steps are read, else every step is
) noexcept nogil
