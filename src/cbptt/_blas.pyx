"""Row-major matrix products for float and double, over the BLAS that SciPy carries.

The two routines are read from the capsules that scipy.linalg.cython_blas publishes, so that
building needs no SciPy. BLAS comes with 32-bit or with 64-bit integers. Every integer here is
passed as 64 bits: on a little-endian machine its first 32 bits are the same number, so both
kinds read it right. A capsule with another signature, or a product that comes out wrong, is an
ImportError, and never a corrupted memory.
"""

import sys

import scipy.linalg.cython_blas as cython_blas

from cython cimport floating
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.stdint cimport int64_t
from libc.string cimport memcpy

ctypedef void (*sgemm_t)(
    char*, char*, int64_t*, int64_t*, int64_t*, float*, float*, int64_t*, float*, int64_t*,
    float*, float*, int64_t*,
) noexcept nogil
ctypedef void (*dgemm_t)(
    char*, char*, int64_t*, int64_t*, int64_t*, double*, double*, int64_t*, double*, int64_t*,
    double*, double*, int64_t*,
) noexcept nogil

cdef sgemm_t sgemm = NULL
cdef dgemm_t dgemm = NULL


def _signature(capsule):
    """The kinds of a routine's arguments, one letter each: c(har), i(nteger), r(eal)."""
    cdef const char* name = PyCapsule_GetName(capsule)
    arguments = name.decode().partition("(")[2].rpartition(")")[0].split(",")
    kinds = ""
    for argument in arguments:
        pointed = argument.replace("*", "").strip().rpartition(" ")[2]
        if pointed == "char":
            kinds += "c"
        elif pointed == "int" or pointed.endswith("blas_int"):
            kinds += "i"
        elif pointed in ("float", "double") or pointed.endswith(("cython_blas_s", "cython_blas_d")):
            kinds += "r"
        else:
            kinds += "?"
    return kinds


cdef void* _routine(str name) except NULL:
    capsule = cython_blas.__pyx_capi__.get(name)
    if capsule is None or _signature(capsule) != "cciiirririrri":
        raise ImportError(
            f"scipy.linalg.cython_blas offers no {name} with the signature that cbptt knows; "
            f"please report the version of SciPy and of its BLAS"
        )
    return PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule))


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
) noexcept nogil:
    """C = op(A) op(B) + beta C"""
    # BLAS reads memory by columns and so sees every matrix transposed: C' = op(B)' op(A)'.
    cdef:
        char trans_a = c'T' if transpose_a else c'N'
        char trans_b = c'T' if transpose_b else c'N'
        int64_t rows = m, columns = n, inner = k
        int64_t ld_a = lda, ld_b = ldb, ld_c = ldc
        floating alpha = 1
    if m == 0 or n == 0:
        return
    if floating is float:
        sgemm(&trans_b, &trans_a, &columns, &rows, &inner, &alpha, <floating*> b, &ld_b,
              <floating*> a, &ld_a, &beta, c, &ld_c)
    else:
        dgemm(&trans_b, &trans_a, &columns, &rows, &inner, &alpha, <floating*> b, &ld_b,
              <floating*> a, &ld_a, &beta, c, &ld_c)


cdef void fill_rows(
    floating* c,        # OUT (m, n)  every row of C = v
    const floating* v,  # IN  (n,)
    Py_ssize_t m,
    Py_ssize_t n,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(m):
        memcpy(c + i * n, v, n * sizeof(floating))


cdef void add_rows(
    double* sums,       # INOUT (n,)  sums += the rows of A
    const floating* a,  # IN    (m, n), rows lda apart
    Py_ssize_t lda,
    Py_ssize_t m,
    Py_ssize_t n,
) noexcept nogil:
    """In double for both precisions: a sum over many steps keeps its digits."""
    cdef Py_ssize_t i, j
    for i in range(m):
        for j in range(n):
            sums[j] += a[i * lda + j]


cdef _check_product(floating zero):
    """Multiply two small matrices, so that a BLAS that misreads its arguments is found here."""
    cdef:
        floating[6] a = [1, 2, 3, 4, 5, 6]         # (2, 3)
        floating[6] b = [1, 0, 2, 1, 0, 3]         # (2, 3)
        floating[4] c = [1, 1, 1, 1]
    gemm(c, 2, a, 3, b, 3, 2, 2, 3, False, True, <floating> 2)
    if [c[0], c[1], c[2], c[3]] != [9, 12, 18, 24]:
        raise ImportError("the BLAS of scipy.linalg.cython_blas returns wrong products")


if sys.byteorder != "little":
    raise ImportError("cbptt hands integers to BLAS as little-endian numbers of 64 bits")
sgemm = <sgemm_t> _routine("sgemm")
dgemm = <dgemm_t> _routine("dgemm")
_check_product(<float> 0)
_check_product(<double> 0)
