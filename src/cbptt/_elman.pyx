"""The two recurrences of the single-hidden-layer network (the lecture, "BPTT").

Everything that time does not couple is one product over all steps; only the loops over t remain.
Rows are packed: step t owns batch_sizes[t] rows, one behind the other, and its sequences are the
first batch_sizes[t] of step t - 1. Rows of M numbers lie L = padded(M) apart.

A product is taken by the package's kernels where its matrix comes packed, and by BLAS elsewhere.
"""

from cython cimport floating

from cbptt._kernels cimport (
    IDENTITY, activate, backward_step, forward_step, padded, times_derivative
)
from cbptt._blas cimport fill_rows, gemm


# Fewer rows of a step than these are not worth reading W0 or W1 for at each step.
cdef Py_ssize_t FOLDED_ROWS = 6


cdef bint folds(Py_ssize_t B) noexcept nogil:
    """Whether the products with W0 and W1 join the recurrent one, step by step"""
    return B >= FOLDED_ROWS


cdef void multiply(
    floating* to,       # OUT (n,)  to = a m, elementwise
    const floating* a,  # IN  (n,)  may be to
    const floating* m,  # IN  (n,)
    Py_ssize_t n,
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        to[i] = a[i] * m[i]


cdef void recur_back(
    floating* dh,                # OUT (n, M)
    const floating* da_next,     # IN  (n, M)
    const floating* weight_hh,   # IN  (M, M)
    const floating* packed_hh,   # IN  W11 packed; or NULL
    const floating* mask,        # IN  (n, M); or NULL
    Py_ssize_t n,
    Py_ssize_t M,
) noexcept nogil:
    """dL/dh_t from the step behind: dL/da_{t+1} W11 m"""
    cdef Py_ssize_t L = padded(M, sizeof(floating))
    # forward: a_{t+1} += W11 m h_t
    if packed_hh != NULL:
        backward_step(dh, <const floating*> NULL, <const floating*> NULL, <const floating*> NULL,
                      da_next, packed_hh, <const floating*> NULL, n, M, 0, IDENTITY)
    else:
        gemm(dh, L, da_next, L, weight_hh, M, n, M, M, False, False, <floating> 0)
    if mask != NULL:
        multiply(dh, <const floating*> dh, mask, n * L)


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
) noexcept nogil:
    """a_t = W0 x_t + W11 m h_{t-1} + b0,  h_t = f(a_t),  t = 1..T"""
    cdef:
        Py_ssize_t L = padded(M, sizeof(floating))
        Py_ssize_t t, n_alive
        floating* h_t = h
        floating* inner_t = inner
        const floating* h_prev = h_0
        const floating* x_t = x

    # a_t = W0 x_t + b0, all steps at once
    if packed_ih == NULL:
        fill_rows(h, bias_h, N, L)
        gemm(h, L, x, D, weight_ih, D, N, M, D, False, True, <floating> 1)
    elif not folds(batch_sizes[0]):
        forward_step(h, bias_h, 0, x, D, packed_ih, <const floating*> NULL,
                     <const floating*> NULL, N, M, D, IDENTITY)

    for t in range(T):
        n_alive = batch_sizes[t]

        # a_t += W11 h_{t-1}
        # h_t = f(a_t)
        if packed_ih != NULL and folds(batch_sizes[0]):
            # with a_t = W0 x_t + b0, while h_t is in registers
            forward_step(h_t, bias_h, 0, x_t, D, packed_ih, h_prev, packed_hh, n_alive, M, D, f)
        elif packed_hh != NULL:
            forward_step(h_t, h_t, L, x_t, D, <const floating*> NULL, h_prev, packed_hh, n_alive,
                         M, D, f)
        else:
            gemm(h_t, L, h_prev, L, weight_hh, M, n_alive, M, M, False, True, <floating> 1)
            activate(h_t, n_alive * L, f)

        h_prev = h_t
        if mask != NULL:
            # the same mask at each step (Gal & Ghahramani 2016)
            multiply(inner_t, h_t, mask, n_alive * L)
            h_prev = inner_t
            inner_t += n_alive * L
        h_t += n_alive * L
        x_t += n_alive * D


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
) noexcept nogil:
    """dL/da_t = (dL/dh_t + dL/da_{t+1} W11 m) f'(a_t),  t = T..1"""
    cdef:
        Py_ssize_t L = padded(M, sizeof(floating)), LK = padded(K, sizeof(floating))
        Py_ssize_t t, n_alive, n_next = n_after, row = N, first, i
        floating* da_t
        const floating* da_next = da_after
        const floating* dh_t
        const floating* dz_t

    for t in range(T - 1, -1, -1):
        n_alive = batch_sizes[t]
        row -= n_alive
        da_t = da + row * L

        # forward: h_t = f(a_t),  a2_t = W1 h_t
        # forward: a_{t+1} += W11 m h_t
        if n_next > 0:
            dz_t = NULL if last else dz + row * LK
            dh_t = NULL if last or packed_ho != NULL else da_t
            if mask != NULL:
                recur_back(dh_inner, da_next, weight_hh, packed_hh, mask, n_next, M)
                for i in range(0 if dh_t == NULL else n_next * L):
                    dh_inner[i] += dh_t[i]
                backward_step(da_t, dh_inner, dz_t, NULL if last else packed_ho, NULL, NULL,
                              h + row * L, n_next, M, K, f)
            elif packed_hh != NULL:
                backward_step(da_t, dh_t, dz_t, NULL if last else packed_ho, da_next, packed_hh,
                              h + row * L, n_next, M, K, f)
            else:
                gemm(da_t, L, da_next, L, weight_hh, M, n_next, M, M, False, False,
                     <floating> (0 if last else 1))
                times_derivative(da_t, h + row * L, n_next * L, f)

        # dL/da_{t+1} W11 is not required for a sequence whose last step is t
        if n_next < n_alive:
            first = n_next if last else row + n_next
            da_t += n_next * L
            dh_t = NULL if packed_ho != NULL else dh + n_next * L if last else da_t
            backward_step(da_t, dh_t, dz + first * LK, packed_ho, NULL, NULL,
                          h + (row + n_next) * L, n_alive - n_next, M, K, f)

        da_next = da + row * L
        n_next = n_alive
