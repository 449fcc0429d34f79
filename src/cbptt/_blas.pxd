"""Row-major matrix products for float and double, over the BLAS that SciPy carries."""

from cython cimport floating


cdef void gemm(
    floating* c,        # INOUT (m, n)  C = op(A) op(B) + beta C
    Py_ssize_t ldc,     # numbers from one row to the next, as lda and ldb
    const floating* a,  # IN    (m, k), or (k, m) where transpose_a
    Py_ssize_t lda,
    const floating* b,  # IN    (k, n), or (n, k) where transpose_b
    Py_ssize_t ldb,
    Py_ssize_t m,
    Py_ssize_t n,
    Py_ssize_t k,
    bint transpose_a,
    bint transpose_b,
    floating beta,
) noexcept nogil

cdef void fill_rows(
    floating* c,        # OUT (m, n)  every row of C = v
    const floating* v,  # IN  (n,)
    Py_ssize_t m,
    Py_ssize_t n,
) noexcept nogil

cdef void add_rows(
    double* sums,       # INOUT (n,)  sums += the rows of A
    const floating* a,  # IN    (m, n), rows lda apart
    Py_ssize_t lda,
    Py_ssize_t m,
    Py_ssize_t n,
) noexcept nogil
