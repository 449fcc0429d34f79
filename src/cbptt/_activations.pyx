"""Elementwise functions and their derivatives, dispatched to the kernels for this processor."""

import os

from cython cimport floating


cdef extern from "kernels.h":
    enum:
        CBPTT_IDENTITY, CBPTT_LOGISTIC, CBPTT_TANH, CBPTT_RELU, CBPTT_N_ACTIVATIONS

    ctypedef struct table_f32 "cbptt_table_f32":
        void (**activate)(float* x, Py_ssize_t n) noexcept nogil
        void (**derivative)(float* d, const float* h, Py_ssize_t n) noexcept nogil
        void (*exponential)(float* x, Py_ssize_t n) noexcept nogil

    ctypedef struct table_f64 "cbptt_table_f64":
        void (**activate)(double* x, Py_ssize_t n) noexcept nogil
        void (**derivative)(double* d, const double* h, Py_ssize_t n) noexcept nogil
        void (*exponential)(double* x, Py_ssize_t n) noexcept nogil

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
        chosen.f32.activate[f](x, n)
    else:
        chosen.f64.activate[f](x, n)


cdef void times_derivative(
    floating* d,        # INOUT (n,)  in: dL/dh; out: dL/da = dL/dh f'(a)
    const floating* h,  # IN    (n,)  h = f(a)
    Py_ssize_t n,
    int f,
) noexcept nogil:
    """dL/da = dL/dh f'(a): the Jacobian of an elementwise function is diagonal"""
    # forward: h = f(a)
    if floating is float:
        chosen.f32.derivative[f](d, h, n)
    else:
        chosen.f64.derivative[f](d, h, n)


cdef void exponential(
    floating* x,  # INOUT (n,)  in: a; out: exp(a)
    Py_ssize_t n,
) noexcept nogil:
    """exp(a), elementwise"""
    if floating is float:
        chosen.f32.exponential(x, n)
    else:
        chosen.f64.exponential(x, n)


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
