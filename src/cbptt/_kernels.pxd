"""The plain C kernels: elementwise functions, the products of a step, products over rows."""

from cython cimport floating


cdef extern from "cells.h" nogil:
    # One step of a cell with gates; what each field is stands in the header.
    ctypedef struct CellForward "cbptt_cell_forward":
        void* gates
        void* h
        void* c
        const void* c_prev
        const void* h_prev
        const void* inner
        const void* x
        Py_ssize_t ldx, D
        const void* sums
        Py_ssize_t ld_sums
        const void* sums_n
        Py_ssize_t ld_sums_n
        const void* bias_q
        const void* ih
        const void* hh
        const void* ih_n
        const void* hh_q
        Py_ssize_t n, M

    ctypedef struct CellBackward "cbptt_cell_backward":
        void* gates
        void* running
        const void* dh
        const void* next
        const void* mask
        const void* back
        const void* c
        const void* c_prev
        const void* h_prev
        Py_ssize_t n, M


cdef enum Function:
    IDENTITY, LOGISTIC, TANH, RELU, SOFTMAX


cdef void activate(
    floating* x,  # INOUT (n,)  in: a; out: f(a)
    Py_ssize_t n,
    int f,
) noexcept nogil

cdef void times_derivative(
    floating* d,        # INOUT (n,)  in: dL/dh; out: dL/da = dL/dh f'(a)
    const floating* h,  # IN    (n,)  h = f(a)
    Py_ssize_t n,
    int f,
) noexcept nogil

cdef void exponential(
    floating* x,  # INOUT (n,)  in: a; out: exp(a)
    Py_ssize_t n,
) noexcept nogil

cdef void multiply(
    floating* to,       # OUT (n,)  may be a
    const floating* a,  # IN  (n,)
    const floating* m,  # IN  (n,)
    Py_ssize_t n,
) noexcept nogil

cdef void pack_matrix(
    floating* p,         # OUT (K * padded(M),)
    const floating* w,   # IN  (K, M), or (M, K) where transpose
    Py_ssize_t K,
    Py_ssize_t M,
    bint transpose,
    Py_ssize_t stride,
) noexcept nogil

cdef void forward_step(
    floating* h_t,              # OUT (n, M)
    const floating* s,          # IN  (n, M), or one row for all where lds is 0
    Py_ssize_t lds,
    const floating* x_t,        # IN  (n, D), rows ldx apart
    Py_ssize_t ldx,
    const floating* packed_ih,  # IN  W0' from pack_matrix, or NULL: s holds W0 x_t already
    const floating* h_prev,     # IN  (n, M)
    const floating* packed_hh,  # IN  W11' from pack_matrix, or NULL: no recurrence
    Py_ssize_t n,
    Py_ssize_t M,
    Py_ssize_t D,
    int f,
) noexcept nogil

cdef void backward_step(
    floating* da_t,             # OUT (n, M)
    const floating* dh_t,       # IN  (n, M)  dL/dh_t from the outputs, may be da_t; or NULL: zeros
    const floating* dz_t,       # IN  (n, K)
    const floating* packed_ho,  # IN  W1 from pack_matrix, or NULL: dh_t holds dz_t W1 already
    const floating* da_next,    # IN  (n, M)
    const floating* packed_hh,  # IN  W11 from pack_matrix, or NULL: t is the last step
    const floating* h_t,        # IN  (n, M), or NULL: f' = 1
    Py_ssize_t n,
    Py_ssize_t M,
    Py_ssize_t K,
    int f,
) noexcept nogil

cdef void multiply_rows(
    floating* c,            # INOUT (n, M)  C = A P, or C += A P where add
    const floating* a,      # IN    (n, K), rows lda apart
    Py_ssize_t lda,
    const floating* packed,
    Py_ssize_t n,
    Py_ssize_t M,
    Py_ssize_t K,
    bint add,
) noexcept nogil

cdef void pack_columns(
    floating* p,        # OUT (total * padded(m),)  rows first..first + rows of a chunk
    Py_ssize_t total,
    Py_ssize_t first,
    const floating* a,  # IN  (rows, m), rows lda apart
    Py_ssize_t lda,
    Py_ssize_t rows,
    Py_ssize_t m,
) noexcept nogil

cdef void pack_inputs(
    floating* p,        # OUT (rows * padded(D + 1),)
    const floating* x,  # IN  (rows, D), rows ldx apart
    Py_ssize_t ldx,
    Py_ssize_t rows,
    Py_ssize_t D,
) noexcept nogil

cdef void add_transposed(
    floating* c,        # INOUT (m, n), rows ldc apart
    Py_ssize_t ldc,
    const floating* a,  # IN    (rows, m) from pack_columns
    const floating* b,  # IN    (rows, n) from pack_columns
    Py_ssize_t rows,
    Py_ssize_t m,
    Py_ssize_t n,
    bint add,
) noexcept nogil

cdef void lstm_step(const floating* kind, const CellForward* step) noexcept nogil
cdef void lstm_step_back(const floating* kind, const CellBackward* step) noexcept nogil
cdef void gru_step(const floating* kind, const CellForward* step) noexcept nogil
cdef void gru_step_back(const floating* kind, const CellBackward* step) noexcept nogil

cdef Py_ssize_t padded(Py_ssize_t n, size_t itemsize) noexcept nogil

cdef unsigned long long flush_denormals() noexcept nogil

cdef void restore_mode(unsigned long long mode) noexcept nogil
