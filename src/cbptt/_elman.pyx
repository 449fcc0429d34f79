"""The two recurrences of the single-hidden-layer network (the lecture, "BPTT").

Everything that time does not couple is one product over all steps; only the loops over t remain.
Rows are packed: step t owns batch_sizes[t] contiguous rows, and its sequences are the first
batch_sizes[t] of step t - 1.
"""

from cython cimport floating
from libc.string cimport memmove, memset

from cbptt._kernels cimport (
    IDENTITY, activate, backward_step, forward_step, pack_matrix, times_derivative
)
from cbptt._blas cimport fill_rows, gemm, gemm_nt


cdef void elman_forward(
    floating[:, ::1] states,            # INOUT (B + N, M)  in: h0 in the first B rows; out: h after
    floating[::1] packed_hh,            # scratch for the packed W11; empty: BLAS takes the steps
    floating[::1] packed_ih,            # scratch for the packed W0; empty: BLAS takes all inputs
    const floating[:, ::1] x,           # IN    (N, D)
    const floating[:, ::1] weight_ih,   # IN    (M, D)  W0
    const floating[:, ::1] weight_hh,   # IN    (M, M)  W11
    const floating[::1] bias_h,         # IN    (M,)    b0
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)    sequences alive at each step
    int f,                              # the hidden activation
) noexcept nogil:
    """a_t = W0 x_t + W11 h_{t-1} + b0,  h_t = f(a_t),  t = 1..T"""
    cdef:
        Py_ssize_t M = states.shape[1], D = x.shape[1], B = batch_sizes[0]
        Py_ssize_t t, n_alive
        floating* h_t = &states[B, 0]
        const floating* h_prev = &states[0, 0]
        const floating* x_t = &x[0, 0]
        const floating* hh = NULL
        const floating* ih = NULL

    if packed_hh.shape[0] > 0:
        hh = pack_matrix(packed_hh, weight_hh, True)
    if hh != NULL and packed_ih.shape[0] > 0:
        ih = pack_matrix(packed_ih, weight_ih, True)
    else:
        # a_t = W0 x_t + b0, all steps at once
        fill_rows(states[B:], bias_h)
        gemm_nt(states[B:], x, weight_ih, 1)

    for t in range(batch_sizes.shape[0]):
        n_alive = batch_sizes[t]

        # a_t += W11 h_{t-1}
        # h_t = f(a_t)
        if hh != NULL:
            forward_step(h_t, h_prev, x_t, &bias_h[0], hh, ih, n_alive, M, D, f)
        else:
            gemm(h_t, h_prev, &weight_hh[0, 0], n_alive, M, M, False, True, <floating> 1)
            activate(h_t, n_alive * M, f)

        h_prev = h_t
        h_t += n_alive * M
        x_t += n_alive * D


cdef void elman_backward(
    floating[:, ::1] da,                # INOUT (N, M)  in: dL/dh from the outputs; out: dL/da
    floating[:, ::1] dh0,               # OUT   (B, M)
    floating[::1] packed_hh,            # scratch for the packed W11; empty: BLAS takes the steps
    const floating[:, ::1] h,           # IN    (N, M)  from elman_forward
    const floating[:, ::1] weight_hh,   # IN    (M, M)  W11
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
    int f,
) noexcept nogil:
    """dL/da_t = (dL/dh_t + dL/da_{t+1} W11) f'(a_t),  t = T..1"""
    cdef:
        Py_ssize_t M = h.shape[1]
        Py_ssize_t t, n_alive, n_alive_next = 0
        Py_ssize_t row = h.shape[0]
        floating* da_t
        floating* da_next = NULL
        const floating* hh = NULL

    if packed_hh.shape[0] > 0:
        hh = pack_matrix(packed_hh, weight_hh, False)

    for t in range(batch_sizes.shape[0] - 1, -1, -1):
        n_alive = batch_sizes[t]
        row -= n_alive
        da_t = &da[row, 0]

        # forward: a_{t+1} += W11 h_t
        # forward: h_t = f(a_t)
        if n_alive_next == 0:
            times_derivative(da_t, &h[row, 0], n_alive * M, f)
        elif hh != NULL:
            backward_step(da_t, da_next, &h[row, 0], hh, n_alive_next, M, f)
            # dL/da_{t+1} W11 is not required for a sequence whose last step is t
            times_derivative(da_t + n_alive_next * M, &h[row + n_alive_next, 0],
                             (n_alive - n_alive_next) * M, f)
        else:
            gemm(da_t, da_next, &weight_hh[0, 0], n_alive_next, M, M, False, False, <floating> 1)
            times_derivative(da_t, &h[row, 0], n_alive * M, f)

        da_next = da_t
        n_alive_next = n_alive

    # forward: a_1 += W11 h_0
    if hh != NULL:
        memset(&dh0[0, 0], 0, n_alive_next * M * sizeof(floating))
        backward_step(&dh0[0, 0], da_next, <const floating*> NULL, hh, n_alive_next, M, IDENTITY)
    else:
        gemm(&dh0[0, 0], da_next, &weight_hh[0, 0], n_alive_next, M, M, False, False, <floating> 0)


cdef void shift_states(
    floating[:, ::1] states,            # INOUT (B + N, M)  in: h0, then h; out: h_{t-1} of each row
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
) noexcept nogil:
    """Make row r of states the h_{t-1} that row r of x met, by closing the gaps.

    h0 stands in front of h, so with equal lengths every row is in its place already. A sequence
    that ends leaves its last state as a gap: no later step reads it.
    """
    cdef:
        Py_ssize_t M = states.shape[1]
        Py_ssize_t t, source = 0, target = 0, before = batch_sizes[0]
    for t in range(batch_sizes.shape[0]):
        if source != target:
            memmove(&states[target, 0], &states[source, 0], batch_sizes[t] * M * sizeof(floating))
        source += before
        target += batch_sizes[t]
        before = batch_sizes[t]
