"""The plain C kernels, dispatched to the instruction set of this processor.

Elementwise functions and their derivatives, the products of a step, and products over the rows of
a batch. One table of them is chosen on import.
"""

import os

from cython cimport floating


cdef extern from "kernels.h":
    enum:
        CBPTT_IDENTITY, CBPTT_LOGISTIC, CBPTT_TANH, CBPTT_RELU

    ctypedef struct table_f32 "cbptt_table_f32":
        void (*activate)(float* x, Py_ssize_t n, int f) noexcept nogil
        void (*derivative)(float* d, const float* h, Py_ssize_t n, int f) noexcept nogil
        void (*exponential)(float* x, Py_ssize_t n) noexcept nogil
        void (*pack)(
            float* p, const float* w, Py_ssize_t K, Py_ssize_t M, bint transpose,
            Py_ssize_t stride
        ) noexcept nogil
        void (*step)(
            float* c, const float* s, Py_ssize_t lds,
            const float* a0, Py_ssize_t lda0, const float* p0, Py_ssize_t K0,
            const float* a1, Py_ssize_t lda1, const float* p1, Py_ssize_t K1,
            const float* h, Py_ssize_t n, Py_ssize_t M, int f
        ) noexcept nogil
        void (*pack_columns)(
            float* p, Py_ssize_t total, Py_ssize_t first, const float* a, Py_ssize_t lda,
            Py_ssize_t rows, Py_ssize_t m
        ) noexcept nogil
        void (*pack_inputs)(
            float* p, const float* x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t D
        ) noexcept nogil
        void (*add_transposed)(
            float* c, Py_ssize_t ldc, const float* a, const float* b,
            Py_ssize_t rows, Py_ssize_t m, Py_ssize_t n, bint add
        ) noexcept nogil
        void (*lstm_forward)(const CellForward* step) noexcept nogil
        void (*lstm_backward)(const CellBackward* step) noexcept nogil
        void (*gru_forward)(const CellForward* step) noexcept nogil
        void (*gru_backward)(const CellBackward* step) noexcept nogil

    ctypedef struct table_f64 "cbptt_table_f64":
        void (*activate)(double* x, Py_ssize_t n, int f) noexcept nogil
        void (*derivative)(double* d, const double* h, Py_ssize_t n, int f) noexcept nogil
        void (*exponential)(double* x, Py_ssize_t n) noexcept nogil
        void (*pack)(
            double* p, const double* w, Py_ssize_t K, Py_ssize_t M, bint transpose,
            Py_ssize_t stride
        ) noexcept nogil
        void (*step)(
            double* c, const double* s, Py_ssize_t lds,
            const double* a0, Py_ssize_t lda0, const double* p0, Py_ssize_t K0,
            const double* a1, Py_ssize_t lda1, const double* p1, Py_ssize_t K1,
            const double* h, Py_ssize_t n, Py_ssize_t M, int f
        ) noexcept nogil
        void (*pack_columns)(
            double* p, Py_ssize_t total, Py_ssize_t first, const double* a, Py_ssize_t lda,
            Py_ssize_t rows, Py_ssize_t m
        ) noexcept nogil
        void (*pack_inputs)(
            double* p, const double* x, Py_ssize_t ldx, Py_ssize_t rows, Py_ssize_t D
        ) noexcept nogil
        void (*add_transposed)(
            double* c, Py_ssize_t ldc, const double* a, const double* b,
            Py_ssize_t rows, Py_ssize_t m, Py_ssize_t n, bint add
        ) noexcept nogil
        void (*lstm_forward)(const CellForward* step) noexcept nogil
        void (*lstm_backward)(const CellBackward* step) noexcept nogil
        void (*gru_forward)(const CellForward* step) noexcept nogil
        void (*gru_backward)(const CellBackward* step) noexcept nogil

    ctypedef struct kernels "cbptt_kernels":
        const char* isa
        const table_f32* f32
        const table_f64* f64

    const kernels* choose "cbptt_choose"(const char* isa) noexcept
    unsigned long long c_flush_denormals "cbptt_flush_denormals"() noexcept nogil
    void c_restore_mode "cbptt_restore_mode"(unsigned long long mode) noexcept nogil


# The names of the functions, as every public argument spells them, and their codes.
FUNCTIONS = {
    "identity": <int> IDENTITY,
    "logistic": <int> LOGISTIC,
    "tanh": <int> TANH,
    "relu": <int> RELU,
    "softmax": <int> SOFTMAX,
}

if (IDENTITY, LOGISTIC, TANH, RELU) != (CBPTT_IDENTITY, CBPTT_LOGISTIC, CBPTT_TANH, CBPTT_RELU):
    raise ImportError("the kernel table and the Cython modules disagree about the functions")

cdef const kernels* chosen = NULL
_forced = os.environ.get("CBPTT_ISA")
if _forced:
    chosen = choose(_forced.encode())
    if chosen == NULL:
        raise ImportError(
            f"CBPTT_ISA={_forced!r} was not compiled in or does not run on this processor; "
            f"unset it, or set it to base"
        )
else:
    chosen = choose(NULL)


def instruction_set():
    """Return the name of the instruction set whose kernels are in use."""
    return chosen.isa.decode()


cdef void activate(
    floating* x,  # INOUT (n,)  in: a; out: f(a)
    Py_ssize_t n,
    int f,
) noexcept nogil:
    """h = f(a), elementwise"""
    if floating is float:
        chosen.f32.activate(x, n, f)
    else:
        chosen.f64.activate(x, n, f)


cdef void times_derivative(
    floating* d,        # INOUT (n,)  in: dL/dh; out: dL/da = dL/dh f'(a)
    const floating* h,  # IN    (n,)  h = f(a)
    Py_ssize_t n,
    int f,
) noexcept nogil:
    """dL/da = dL/dh f'(a): the Jacobian of an elementwise function is diagonal"""
    # forward: h = f(a)
    if floating is float:
        chosen.f32.derivative(d, h, n, f)
    else:
        chosen.f64.derivative(d, h, n, f)


cdef void exponential(
    floating* x,  # INOUT (n,)  in: a; out: exp(a)
    Py_ssize_t n,
) noexcept nogil:
    """exp(a), elementwise"""
    if floating is float:
        chosen.f32.exponential(x, n)
    else:
        chosen.f64.exponential(x, n)


cdef void multiply(
    floating* to,       # OUT (n,)  may be a
    const floating* a,  # IN  (n,)
    const floating* m,  # IN  (n,)
    Py_ssize_t n,
) noexcept nogil:
    """to = a m, elementwise"""
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = a[i] * m[i]


# ---- products -------------------------------------------------------------------------------

cdef void pack_matrix(
    floating* p,         # OUT (K * padded(M),)
    const floating* w,   # IN  (K, M), or (M, K) where transpose
    Py_ssize_t K,
    Py_ssize_t M,
    bint transpose,
    Py_ssize_t stride,   # 1; or every stride-th panel of p, so that several are packed in turns
) noexcept nogil:
    """Lay out a matrix, or its transpose, for the steps"""
    if floating is float:
        chosen.f32.pack(p, w, K, M, transpose, stride)
    else:
        chosen.f64.pack(p, w, K, M, transpose, stride)


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
) noexcept nogil:
    """h_t = f(s + W0 x_t + W11 h_{t-1})"""
    cdef Py_ssize_t L = padded(M, sizeof(floating))
    cdef Py_ssize_t depth = 0 if packed_hh == NULL else M
    if packed_ih == NULL:
        D = 0
    if floating is float:
        chosen.f32.step(h_t, s, lds, x_t, ldx, packed_ih, D, h_prev, L, packed_hh, depth,
                        NULL, n, M, f)
    else:
        chosen.f64.step(h_t, s, lds, x_t, ldx, packed_ih, D, h_prev, L, packed_hh, depth,
                        NULL, n, M, f)


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
) noexcept nogil:
    """dL/da_t = (dL/dh_t + dL/da2_t W1 + dL/da_{t+1} W11) f'(a_t)"""
    # forward: h_t = f(a_t),  a2_t = W1 h_t,  a_{t+1} += W11 h_t
    cdef Py_ssize_t L = padded(M, sizeof(floating)), LK = padded(K, sizeof(floating))
    cdef Py_ssize_t depth = 0 if packed_hh == NULL else M
    if packed_ho == NULL:
        K = 0
    if floating is float:
        chosen.f32.step(da_t, dh_t, L, dz_t, LK, packed_ho, K, da_next, L, packed_hh, depth,
                        h_t, n, M, f)
    else:
        chosen.f64.step(da_t, dh_t, L, dz_t, LK, packed_ho, K, da_next, L, packed_hh, depth,
                        h_t, n, M, f)


cdef void multiply_rows(
    floating* c,             # INOUT (n, M)  C = A P, or C += A P where add
    const floating* a,       # IN    (n, K), rows lda apart
    Py_ssize_t lda,
    const floating* packed,  # IN    P (K, M) from pack_matrix
    Py_ssize_t n,
    Py_ssize_t M,
    Py_ssize_t K,
    bint add,
) noexcept nogil:
    """The product of some rows with a packed matrix"""
    cdef Py_ssize_t L = padded(M, sizeof(floating))
    cdef const floating* s = c if add else NULL
    if floating is float:
        chosen.f32.step(c, s, L, a, lda, packed, K, NULL, 0, NULL, 0, NULL, n, M, IDENTITY)
    else:
        chosen.f64.step(c, s, L, a, lda, packed, K, NULL, 0, NULL, 0, NULL, n, M, IDENTITY)


cdef void pack_columns(
    floating* p,        # OUT (total * padded(m),)  rows first..first + rows of a chunk
    Py_ssize_t total,
    Py_ssize_t first,
    const floating* a,  # IN  (rows, m), rows lda apart
    Py_ssize_t lda,
    Py_ssize_t rows,
    Py_ssize_t m,
) noexcept nogil:
    """Lay out rows of a chunk as a side of `add_transposed`"""
    if floating is float:
        chosen.f32.pack_columns(p, total, first, a, lda, rows, m)
    else:
        chosen.f64.pack_columns(p, total, first, a, lda, rows, m)


cdef void pack_inputs(
    floating* p,        # OUT (rows * padded(D + 1),)
    const floating* x,  # IN  (rows, D), rows ldx apart
    Py_ssize_t ldx,
    Py_ssize_t rows,
    Py_ssize_t D,
) noexcept nogil:
    """Lay out [x, 1] as a side of `add_transposed`"""
    if floating is float:
        chosen.f32.pack_inputs(p, x, ldx, rows, D)
    else:
        chosen.f64.pack_inputs(p, x, ldx, rows, D)


cdef void add_transposed(
    floating* c,        # INOUT (m, n), rows ldc apart
    Py_ssize_t ldc,
    const floating* a,  # IN    (rows, m) from pack_columns
    const floating* b,  # IN    (rows, n) from pack_columns
    Py_ssize_t rows,
    Py_ssize_t m,
    Py_ssize_t n,
    bint add,
) noexcept nogil:
    """C = A' B, or C += A' B where add"""
    if floating is float:
        chosen.f32.add_transposed(c, ldc, a, b, rows, m, n, add)
    else:
        chosen.f64.add_transposed(c, ldc, a, b, rows, m, n, add)


# ---- the cells with gates ------------------------------------------------------------------------

cdef void lstm_step(const floating* kind, const CellForward* step) noexcept nogil:
    if floating is float:
        chosen.f32.lstm_forward(step)
    else:
        chosen.f64.lstm_forward(step)


cdef void lstm_step_back(const floating* kind, const CellBackward* step) noexcept nogil:
    if floating is float:
        chosen.f32.lstm_backward(step)
    else:
        chosen.f64.lstm_backward(step)


cdef void gru_step(const floating* kind, const CellForward* step) noexcept nogil:
    if floating is float:
        chosen.f32.gru_forward(step)
    else:
        chosen.f64.gru_forward(step)


cdef void gru_step_back(const floating* kind, const CellBackward* step) noexcept nogil:
    if floating is float:
        chosen.f32.gru_backward(step)
    else:
        chosen.f64.gru_backward(step)


cdef Py_ssize_t padded(Py_ssize_t n, size_t itemsize) noexcept nogil:
    """n rounded up to whole lines of 64 bytes: how far apart rows of n numbers lie"""
    return <Py_ssize_t> ((n * itemsize + 63) // 64 * 64 // itemsize)


# ---- the mode of the processor ------------------------------------------------------------------

cdef unsigned long long flush_denormals() noexcept nogil:
    """Let this thread take numbers too small to be normal as zeros; return the mode it was in"""
    return c_flush_denormals()


cdef void restore_mode(unsigned long long mode) noexcept nogil:
    c_restore_mode(mode)
