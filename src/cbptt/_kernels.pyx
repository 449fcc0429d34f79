"""The plain C kernels, dispatched to the instruction set of this processor.

Elementwise functions and their derivatives, the step of each recurrence, and the three derivatives
of the hidden layer. One table of them is chosen on import.
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
        Py_ssize_t (*packed_size)(Py_ssize_t K, Py_ssize_t M) noexcept nogil
        void (*pack)(
            float* p, const float* w, Py_ssize_t K, Py_ssize_t M, bint transpose
        ) noexcept nogil
        void (*forward_step)(
            float* a, const float* h, const float* x, const float* b, const float* p,
            const float* p0, Py_ssize_t n, Py_ssize_t M, Py_ssize_t D, int f
        ) noexcept nogil
        void (*backward_step)(
            float* d, const float* e, const float* h, const float* p, Py_ssize_t n, Py_ssize_t M,
            int f
        ) noexcept nogil
        Py_ssize_t (*derivatives_scratch)(Py_ssize_t M, Py_ssize_t D) noexcept nogil
        void (*derivatives)(
            float* dhh, float* dih, float* db, float* s,
            const float* da, const float* h, const float* x,
            Py_ssize_t N, Py_ssize_t M, Py_ssize_t D
        ) noexcept nogil

    ctypedef struct table_f64 "cbptt_table_f64":
        void (*activate)(double* x, Py_ssize_t n, int f) noexcept nogil
        void (*derivative)(double* d, const double* h, Py_ssize_t n, int f) noexcept nogil
        void (*exponential)(double* x, Py_ssize_t n) noexcept nogil
        Py_ssize_t (*packed_size)(Py_ssize_t K, Py_ssize_t M) noexcept nogil
        void (*pack)(
            double* p, const double* w, Py_ssize_t K, Py_ssize_t M, bint transpose
        ) noexcept nogil
        void (*forward_step)(
            double* a, const double* h, const double* x, const double* b, const double* p,
            const double* p0, Py_ssize_t n, Py_ssize_t M, Py_ssize_t D, int f
        ) noexcept nogil
        void (*backward_step)(
            double* d, const double* e, const double* h, const double* p, Py_ssize_t n,
            Py_ssize_t M, int f
        ) noexcept nogil
        Py_ssize_t (*derivatives_scratch)(Py_ssize_t M, Py_ssize_t D) noexcept nogil
        void (*derivatives)(
            double* dhh, double* dih, double* db, double* s,
            const double* da, const double* h, const double* x,
            Py_ssize_t N, Py_ssize_t M, Py_ssize_t D
        ) noexcept nogil

    ctypedef struct kernels "cbptt_kernels":
        const char* isa
        const table_f32* f32
        const table_f64* f64

    const kernels* choose "cbptt_choose"(const char* isa) noexcept


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


cdef floating* aligned(floating* scratch) noexcept nogil:
    """The first address from scratch on where a line of the cache begins."""
    return <floating*> (((<size_t> scratch) + 63) & ~<size_t> 63)


cdef floating* pack_matrix(
    floating[::1] packed,            # OUT (packed_size(K, M),)
    const floating[:, ::1] weight,   # IN  (K, M), or (M, K) where transpose
    bint transpose,
) noexcept nogil:
    """Lay out a matrix, or its transpose, for the steps; return where it begins."""
    cdef:
        floating* start = aligned(&packed[0])
        Py_ssize_t K = weight.shape[1] if transpose else weight.shape[0]
        Py_ssize_t M = weight.shape[0] if transpose else weight.shape[1]
    if floating is float:
        chosen.f32.pack(start, &weight[0, 0], K, M, transpose)
    else:
        chosen.f64.pack(start, &weight[0, 0], K, M, transpose)
    return start


cdef void forward_step(
    floating* h_t,              # INOUT (n, M)  in: W0 x_t + b0 where packed_ih is NULL; out: h_t
    const floating* h_prev,     # IN    (n, M)
    const floating* x_t,        # IN    (n, D)
    const floating* bias_h,     # IN    (M,)
    const floating* packed_hh,  # IN    W11' from pack_matrix
    const floating* packed_ih,  # IN    W0' from pack_matrix, or NULL
    Py_ssize_t n,
    Py_ssize_t M,
    Py_ssize_t D,
    int f,
) noexcept nogil:
    """h_t = f(W0 x_t + W11 h_{t-1} + b0)"""
    if floating is float:
        chosen.f32.forward_step(h_t, h_prev, x_t, bias_h, packed_hh, packed_ih, n, M, D, f)
    else:
        chosen.f64.forward_step(h_t, h_prev, x_t, bias_h, packed_hh, packed_ih, n, M, D, f)


cdef void backward_step(
    floating* da_t,           # INOUT (n, M)  in: dL/dh_t from the outputs; out: dL/da_t
    const floating* da_next,  # IN    (n, M)
    const floating* h_t,      # IN    (n, M)
    const floating* packed,   # IN    W11 from pack_matrix
    Py_ssize_t n,
    Py_ssize_t M,
    int f,
) noexcept nogil:
    """dL/da_t = (dL/dh_t + dL/da_{t+1} W11) f'(a_t)"""
    # forward: h_t = f(a_t),  a_{t+1} += W11 h_t
    if floating is float:
        chosen.f32.backward_step(da_t, da_next, h_t, packed, n, M, f)
    else:
        chosen.f64.backward_step(da_t, da_next, h_t, packed, n, M, f)


cdef void hidden_derivatives(
    floating[:, ::1] dweight_hh,    # OUT (M, M)
    floating[:, ::1] dweight_ih,    # OUT (M, D)
    floating[::1] dbias_h,          # OUT (M,)
    floating[::1] chunk,            # scratch (chunk_size(M, D),)
    const floating[:, ::1] da,      # IN  (N, M)
    const floating[:, ::1] h_prev,  # IN  (N, M)
    const floating[:, ::1] x,       # IN  (N, D)
) noexcept nogil:
    """[dL/dW11, dL/dW0, dL/db0] = sum_t da_t [h_{t-1}, x_t, 1]', chunk by chunk of rows"""
    cdef Py_ssize_t N = da.shape[0], M = da.shape[1], D = x.shape[1]
    cdef floating* scratch = aligned(&chunk[0])
    if floating is float:
        chosen.f32.derivatives(&dweight_hh[0, 0], &dweight_ih[0, 0], &dbias_h[0], scratch,
                               &da[0, 0], &h_prev[0, 0], &x[0, 0], N, M, D)
    else:
        chosen.f64.derivatives(&dweight_hh[0, 0], &dweight_ih[0, 0], &dbias_h[0], scratch,
                               &da[0, 0], &h_prev[0, 0], &x[0, 0], N, M, D)


def packed_size(Py_ssize_t K, Py_ssize_t M, bint single):
    """Numbers of scratch that a packed (K, M) matrix takes, room for alignment included."""
    if single:
        return chosen.f32.packed_size(K, M) + 64 // sizeof(float)
    return chosen.f64.packed_size(K, M) + 64 // sizeof(double)


def chunk_size(Py_ssize_t M, Py_ssize_t D, bint single):
    """Numbers of scratch that the hidden derivatives take, room for alignment included."""
    if single:
        return chosen.f32.derivatives_scratch(M, D) + 64 // sizeof(float)
    return chosen.f64.derivatives_scratch(M, D) + 64 // sizeof(double)


cdef int _code(str name) except -1:
    if name not in FUNCTIONS or name == "softmax":
        raise ValueError(f"{name!r} is not an elementwise function")
    return FUNCTIONS[name]


def evaluate(floating[::1] x, str name):
    """Overwrite x with f(x), elementwise; name is a scalar function or "exp"."""
    cdef int f
    if x.shape[0] == 0:
        return
    if name == "exp":
        exponential(&x[0], x.shape[0])
    else:
        f = _code(name)
        activate(&x[0], x.shape[0], f)


def evaluate_derivative(floating[::1] d, const floating[::1] h, str name):
    """Overwrite d with d f'(a), where h = f(a), elementwise."""
    cdef int f = _code(name)
    if d.shape[0] != h.shape[0]:
        raise ValueError(f"d has {d.shape[0]} entries, but h has {h.shape[0]}")
    if d.shape[0] > 0:
        times_derivative(&d[0], &h[0], d.shape[0], f)
