"""The two recurrences of the LSTM (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

    a_t = W x_t + R h_{t-1} + b,  of the four gates, one below the other
    i_t = logistic(a^i_t),  f_t = logistic(a^f_t),  g_t = tanh(a^g_t),  o_t = logistic(a^o_t)
    c_t = f_t c_{t-1} + i_t g_t
    h_t = o_t tanh(c_t)

Kept for the backward pass are h, c and the four gates, 6 M numbers of a step; tanh c_t is computed
again. There the gates become their deltas dL/da_t, in place. What a step sends back to the one
before is these deltas, of which R makes dL/dh_{t-1}, and f_t dL/dc_t: along c the gradient is
multiplied by f_t alone, and by no matrix.

Rows are packed as in `_elman`; the matrices as `kernels/cells.h` says.
"""

from cython cimport floating
from libc.string cimport memcpy, memset

from cbptt._cut cimport Above, Steps
from cbptt._kernels cimport (
    IDENTITY, CellBackward, CellForward, forward_step, lstm_step, lstm_step_back, multiply,
    multiply_rows
)
from cbptt._network cimport BLOCKS, Layer, PackedLayer


cdef void lstm_forward(
    floating* h,            # OUT   (N, M)
    floating* c,            # OUT   (N, M)
    floating* gates,        # OUT   (N, 4 M)  i, f, g, o
    floating* inner,        # OUT   (N, M)  m h_{t-1}, what R reads; or NULL: h_{t-1} itself
    floating* state,        # INOUT (2, B, M)  h and c before these steps; after them
    floating* sums,         # scratch (N, 4 M): W x_t of all steps at once; or NULL: step by step
    const floating* x,      # IN    (N, D), rows ldx apart
    const floating* mask,   # IN    (B, M)  m, of dropout in the recurrence; or NULL: ones
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """c_t = f_t c_{t-1} + i_t g_t,  h_t = o_t tanh c_t,  t = 1..T"""
    cdef:
        Py_ssize_t D = layer.D, M = layer.M, L = layer.L, t, n_alive, n_next, ended
        floating* h_state = state
        floating* c_state = state + steps.B * L
        const floating* h_prev = h_state
        const floating* c_prev = c_state
        CellForward s
    memset(&s, 0, sizeof(s))
    s.ih, s.hh, s.M = packed.ih, packed.hh, M
    s.ldx, s.D, s.sums = layer.ldx, D, packed.bias
    if sums != NULL:
        forward_step(sums, <const floating*> packed.bias, 0, x, layer.ldx,
                     <const floating*> packed.ih, <const floating*> NULL, <const floating*> NULL,
                     steps.N, BLOCKS * L, D, IDENTITY)
        s.D, s.ld_sums = 0, BLOCKS * L

    for t in range(steps.T):
        n_alive = steps.alive[t]
        s.inner, s.c_prev = h_prev, c_prev
        if mask != NULL:
            # the same mask at each step (Gal & Ghahramani 2016)
            multiply(inner, h_prev, mask, n_alive * L)
            s.inner = inner
            inner += n_alive * L
        if sums != NULL:
            s.sums = sums
            sums += n_alive * BLOCKS * L
        s.x, s.gates, s.h, s.c, s.n = x, gates, h, c, n_alive
        lstm_step(x, &s)

        n_next = steps.alive[t + 1] if t + 1 < steps.T else 0
        ended = (n_alive - n_next) * L
        memcpy(h_state + n_next * L, h + n_next * L, ended * sizeof(floating))
        memcpy(c_state + n_next * L, c + n_next * L, ended * sizeof(floating))
        h_prev, c_prev = h, c
        x += n_alive * layer.ldx
        h += n_alive * L
        c += n_alive * L
        gates += n_alive * BLOCKS * L


cdef void lstm_backward(
    floating* gates,            # INOUT (N, 4 M)  in: the gates; out: dL/da
    floating* carry,            # INOUT (B, 4 M)  dL/da of the step behind these; of the first of
                                #       these; and behind it (B, M)  f dL/dc of that step
    const Above* above,         # IN              dL/dh from above
    const floating* c,          # IN    (N, M)    from lstm_forward
    const floating* c_before,   # IN    (n_before, M)  c of the step before these
    const floating* mask,       # IN    (B, M)    as forward
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """dL/dh_t = above + R' dL/da_{t+1} m,  dL/dc_t = f dL/dc_{t+1} + dL/dh_t o (1 - tanh^2 c_t)"""
    cdef:
        Py_ssize_t L = layer.L, t, n_alive, n_next = steps.n_after, row = steps.N, i
        const floating* dh = <const floating*> above.dh
        floating* dc = carry + steps.B * BLOCKS * L
        const floating* da_next = carry
        const floating* c_prev
        CellBackward s
    memset(&s, 0, sizeof(s))
    s.mask, s.back, s.M = mask, packed.hh_back, layer.M

    for t in range(steps.T - 1, -1, -1):
        n_alive = steps.alive[t]
        row -= n_alive
        c_prev = c + (row - steps.alive[t - 1]) * L if t > 0 else c_before

        # forward: a_{t+1} += R m h_t,  c_{t+1} += f_{t+1} c_t
        s.gates, s.running, s.c, s.c_prev = gates + row * BLOCKS * L, dc, c + row * L, c_prev
        if n_next > 0:
            s.next, s.dh, s.n = da_next, NULL if above.last else dh + row * L, n_next
            lstm_step_back(c, &s)

        # nothing comes from behind for a sequence whose last step is t
        if n_next < n_alive:
            i = n_next * L
            memset(dc + i, 0, (n_alive - n_next) * L * sizeof(floating))
            s.gates = gates + (row + n_next) * BLOCKS * L
            s.running, s.c, s.c_prev = dc + i, c + row * L + i, c_prev + i
            s.next, s.dh = NULL, dh + i if above.last else dh + row * L + i
            s.mask, s.n = NULL, n_alive - n_next
            lstm_step_back(c, &s)
            s.mask = mask

        da_next = gates + row * BLOCKS * L
        n_next = n_alive
    memcpy(carry, gates, n_next * BLOCKS * L * sizeof(floating))


cdef void lstm_close(
    floating* dstate,           # OUT (2, B, M)  dL/dh_0 and dL/dc_0
    const floating* carry,      # IN  from lstm_backward
    const floating* mask,       # IN  (B, M)  as forward
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil:
    """dL/dh_0 = R' dL/da_1 m,  dL/dc_0 = f_1 dL/dc_1"""
    cdef Py_ssize_t M = layer.M, L = layer.L, g
    cdef const floating* back = <const floating*> packed.hh_back
    # forward: a_1 += R m h_0
    for g in range(BLOCKS):
        multiply_rows(dstate, carry + g * L, BLOCKS * L, back + g * M * L, B, M, M, g > 0)
    if mask != NULL:
        multiply(dstate, <const floating*> dstate, mask, B * L)
    # forward: c_1 += f_1 c_0
    memcpy(dstate + B * L, carry + B * BLOCKS * L, B * L * sizeof(floating))
