"""The plain C kernels: elementwise functions, recurrent steps, hidden derivatives."""

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

cdef floating* pack_matrix(
    floating[::1] packed,            # OUT (packed_size(K, M),)
    const floating[:, ::1] weight,   # IN  (K, M), or (M, K) where transpose
    bint transpose,
) noexcept nogil

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
) noexcept nogil

cdef void backward_step(
    floating* da_t,           # INOUT (n, M)  in: dL/dh_t from the outputs; out: dL/da_t
    const floating* da_next,  # IN    (n, M)
    const floating* h_t,      # IN    (n, M)
    const floating* packed,   # IN    W11 from pack_matrix
    Py_ssize_t n,
    Py_ssize_t M,
    int f,
) noexcept nogil

cdef void hidden_derivatives(
    floating[:, ::1] dweight_hh,    # OUT (M, M)
    floating[:, ::1] dweight_ih,    # OUT (M, D)
    floating[::1] dbias_h,          # OUT (M,)
    floating[::1] chunk,            # scratch (chunk_size(M, D),)
    const floating[:, ::1] da,      # IN  (N, M)
    const floating[:, ::1] h_prev,  # IN  (N, M)
    const floating[:, ::1] x,       # IN  (N, D)
) noexcept nogil
