"""Row-major matrix products for float and double, over the BLAS that SciPy carries."""

from cython cimport floating


cdef void gemm(
    floating* c,        # INOUT (m, n)  C = op(A) op(B) + beta C
    const floating* a,  # IN    (m, k), or (k, m) where transpose_a
    const floating* b,  # IN    (k, n), or (n, k) where transpose_b
    Py_ssize_t m,
    Py_ssize_t n,
    Py_ssize_t k,
    bint transpose_a,
    bint transpose_b,
    floating beta,
) noexcept nogil

cdef void gemm_nn(
    floating[:, ::1] c,        # OUT (m, n)  C = A B
    const floating[:, ::1] a,  # IN  (m, k)
    const floating[:, ::1] b,  # IN  (k, n)
) noexcept nogil

cdef void gemm_nt(
    floating[:, ::1] c,        # INOUT (m, n)  C = A B' + beta C
    const floating[:, ::1] a,  # IN    (m, k)
    const floating[:, ::1] b,  # IN    (n, k)
    floating beta,
) noexcept nogil

cdef void gemm_tn(
    floating[:, ::1] c,        # OUT (m, n)  C = A' B
    const floating[:, ::1] a,  # IN  (k, m)
    const floating[:, ::1] b,  # IN  (k, n)
) noexcept nogil

cdef void fill_rows(
    floating[:, ::1] c,     # OUT (m, n)  every row of C = v
    const floating[::1] v,  # IN  (n,)
) noexcept nogil

cdef void sum_rows(
    floating[::1] v,           # OUT (n,)    v = sum of the rows of A
    const floating[:, ::1] a,  # IN  (m, n)
) noexcept nogil
