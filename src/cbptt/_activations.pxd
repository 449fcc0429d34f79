"""Elementwise functions and their derivatives, on blocks of memory."""

from cython cimport floating


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
