"""The two recurrences of the GRU (Cho et al. 2014), with the reset gate behind the product.

    r_t = logistic(W_r x_t + b_r + R_r h_{t-1})
    z_t = logistic(W_z x_t + b_z + R_z h_{t-1})
    q_t = R_n h_{t-1} + b_hn
    n_t = tanh(W_n x_t + b_n + r_t q_t)
    h_t = (1 - z_t) n_t + z_t h_{t-1}

Kept for the backward pass are h, n, r, z and q, 5 M numbers of a step. There n, r, z and q become
the deltas of their sums, in place: those of n, r, z belong to the products with x_t, and those of
r, z, q to the products with h_{t-1}. What a step sends back to the one before is the latter, of
which R makes a part of dL/dh_{t-1}, and z_t dL/dh_t, which no matrix multiplies.

Rows are packed as in `_elman`; the matrices as `kernels/cells.h` says.
"""

from cython cimport floating
from libc.string cimport memcpy, memset

from cbptt._cut cimport Above, Steps
from cbptt._kernels cimport (
    IDENTITY, CellBackward, CellForward, forward_step, gru_step, gru_step_back, multiply,
    multiply_rows
)
from cbptt._network cimport BLOCKS, Layer, PackedLayer


cdef void gru_forward(
    floating* h,            # OUT   (N, M)
    floating* gates,        # OUT   (N, 4 M)  n, r, z, q
    floating* inner,        # OUT   (N, M)  m h_{t-1}, what R reads; or NULL: h_{t-1} itself
    floating* state,        # INOUT (B, M)  h before these steps; after them
    floating* sums,         # scratch (N, 4 M): W x_t of all steps at once; or NULL: step by step
    const floating* x,      # IN    (N, D), rows ldx apart
    const floating* mask,   # IN    (B, M)  m, of dropout in the recurrence; or NULL: ones
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """h_t = (1 - z_t) n_t + z_t h_{t-1},  t = 1..T"""
    cdef:
        Py_ssize_t D = layer.D, M = layer.M, L = layer.L, t, n_alive, n_next
        const floating* bias = <const floating*> packed.bias    # of r and z, n, q
        const floating* h_prev = state
        floating* sums_n = NULL
        CellForward s
    memset(&s, 0, sizeof(s))
    s.ih, s.hh, s.ih_n, s.hh_q, s.M = packed.ih, packed.hh, packed.ih_n, packed.hh_q, M
    s.ldx, s.D = layer.ldx, D
    s.sums, s.sums_n, s.bias_q = bias, bias + 2 * L, bias + 3 * L
    if sums != NULL:
        sums_n = sums + steps.N * 2 * L
        forward_step(sums, bias, 0, x, layer.ldx, <const floating*> packed.ih,
                     <const floating*> NULL, <const floating*> NULL, steps.N, 2 * L, D, IDENTITY)
        forward_step(sums_n, bias + 2 * L, 0, x, layer.ldx, <const floating*> packed.ih_n,
                     <const floating*> NULL, <const floating*> NULL, steps.N, L, D, IDENTITY)
        s.D, s.ld_sums, s.ld_sums_n = 0, 2 * L, L

    for t in range(steps.T):
        n_alive = steps.alive[t]
        s.inner, s.h_prev = h_prev, h_prev
        if mask != NULL:
            # the same mask at each step (Gal & Ghahramani 2016)
            multiply(inner, h_prev, mask, n_alive * L)
            s.inner = inner
            inner += n_alive * L
        if sums != NULL:
            s.sums, s.sums_n = sums, sums_n
            sums += n_alive * 2 * L
            sums_n += n_alive * L
        s.x, s.gates, s.h, s.n = x, gates, h, n_alive
        gru_step(x, &s)

        n_next = steps.alive[t + 1] if t + 1 < steps.T else 0
        memcpy(state + n_next * L, h + n_next * L, (n_alive - n_next) * L * sizeof(floating))
        h_prev = h
        x += n_alive * layer.ldx
        h += n_alive * L
        gates += n_alive * BLOCKS * L


cdef void gru_backward(
    floating* gates,            # INOUT (N, 4 M)  in: n, r, z, q; out: dL/d of their sums
    floating* carry,            # INOUT (B, 4 M)  these of the step behind; of the first of these;
                                #       and behind it (B, M)  z dL/dh of that step
    const Above* above,         # IN              dL/dh from above
    const floating* h,          # IN    (N, M)    from gru_forward
    const floating* h_before,   # IN    (n_before, M)  h of the step before these
    const floating* mask,       # IN    (B, M)    as forward
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """dL/dh_t = above + R' dL/d(r, z, q)_{t+1} m + z_{t+1} dL/dh_{t+1},  t = T..1"""
    cdef:
        Py_ssize_t L = layer.L, t, n_alive, n_next = steps.n_after, row = steps.N, i
        const floating* dh = <const floating*> above.dh
        floating* z_dh = carry + steps.B * BLOCKS * L
        const floating* da_next = carry
        const floating* h_prev
        CellBackward s
    memset(&s, 0, sizeof(s))
    s.mask, s.back, s.M = mask, packed.hh_back, layer.M

    for t in range(steps.T - 1, -1, -1):
        n_alive = steps.alive[t]
        row -= n_alive
        h_prev = h + (row - steps.alive[t - 1]) * L if t > 0 else h_before

        # forward: r, z, q of t + 1 += R m h_t,  h_{t+1} += z_{t+1} h_t
        s.gates, s.running, s.h_prev = gates + row * BLOCKS * L, z_dh, h_prev
        if n_next > 0:
            s.next, s.dh, s.n = da_next, NULL if above.last else dh + row * L, n_next
            gru_step_back(h, &s)

        # nothing comes from behind for a sequence whose last step is t
        if n_next < n_alive:
            i = n_next * L
            memset(z_dh + i, 0, (n_alive - n_next) * L * sizeof(floating))
            s.gates = gates + (row + n_next) * BLOCKS * L
            s.running, s.h_prev = z_dh + i, h_prev + i
            s.next, s.dh = NULL, dh + i if above.last else dh + row * L + i
            s.mask, s.n = NULL, n_alive - n_next
            gru_step_back(h, &s)
            s.mask = mask

        da_next = gates + row * BLOCKS * L
        n_next = n_alive
    memcpy(carry, gates, n_next * BLOCKS * L * sizeof(floating))


cdef void gru_close(
    floating* dstate,           # OUT (B, M)  dL/dh_0
    const floating* carry,      # IN  from gru_backward
    const floating* mask,       # IN  (B, M)  as forward
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil:
    """dL/dh_0 = R' dL/d(r, z, q)_1 m + z_1 dL/dh_1"""
    cdef Py_ssize_t M = layer.M, L = layer.L, g, i
    cdef const floating* back = <const floating*> packed.hh_back
    cdef const floating* z_dh = carry + B * BLOCKS * L
    # forward: r, z, q += R m h_0
    for g in range(layer.G):
        multiply_rows(dstate, carry + (g + 1) * L, BLOCKS * L, back + g * M * L, B, M, M, g > 0)
    if mask != NULL:
        multiply(dstate, <const floating*> dstate, mask, B * L)
    # forward: h_1 += z_1 h_0
    for i in range(B * L):
        dstate[i] += z_dh[i]
