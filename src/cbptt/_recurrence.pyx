"""A recurrent layer in one direction, of any cell: forward, back, and the derivatives.

The derivatives of the weights (the lecture, "Summary") are added up chunk by chunk of steps. Each
line is one product over all rows of a chunk, which are still in cache from the recurrence. The
package's kernels compute it where there is memory to pack its sides into, and BLAS elsewhere.
"""

from cython cimport floating
from libc.string cimport memcpy

from cbptt._blas cimport add_rows, gemm
from cbptt._cut cimport Above, Steps
from cbptt._elman cimport elman_backward, elman_close, elman_forward
from cbptt._gru cimport gru_backward, gru_close, gru_forward
from cbptt._kernels cimport add_transposed, multiply_rows, pack_columns, pack_inputs
from cbptt._lstm cimport lstm_backward, lstm_close, lstm_forward
from cbptt._network cimport (
    BLOCKS, GRU, LSTM, Layer, PackedLayer, input_block, recurrent_block
)


# ---- the choice of the cell ----------------------------------------------------------------------

cdef floating* row_of(
    const void* rows,       # IN (n, *), rows ld apart; or NULL
    const floating* kind,   # of the precision
    Py_ssize_t at,
    Py_ssize_t ld,
) noexcept nogil:
    return NULL if rows == NULL else <floating*> rows + at * ld


cdef floating* gates_of(
    const Track* track, const floating* kind, Py_ssize_t at, const Layer* layer
) noexcept nogil:
    """The gates of a chunk, which are kept of a segment, or of a chunk only"""
    return <floating*> track.tape.gates + (0 if track.recompute else at * BLOCKS * layer.L)


cdef void recur_forward(
    Track* track,               # INOUT  state, tape
    Workspace* work,            # scratch
    Py_ssize_t at,              # rows of the segment before the chunk
    const floating* theta,      # IN  (P,)
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,         # of the chunk
    bint fold,                  # whether W x_t joins the recurrent product, step by step
) noexcept nogil:
    """Run a chunk from the state before it to the one after it"""
    cdef:
        Py_ssize_t L = layer.L
        const floating* x = <const floating*> track.tape.x + at * layer.ldx
        const floating* mask = <const floating*> track.mask
        floating* h = <floating*> track.tape.h + at * L
        floating* c = row_of(track.tape.c, x, at, L)
        floating* inner = row_of(track.tape.inner, x, at, L)
        floating* gates = gates_of(track, x, at, layer)
        floating* state = <floating*> track.state
        floating* sums = NULL if fold else <floating*> work.sums
    if layer.cell == LSTM:
        lstm_forward(h, c, gates, inner, state, sums, x, mask, packed, layer, steps)
    elif layer.cell == GRU:
        gru_forward(h, gates, inner, state, sums, x, mask, packed, layer, steps)
    else:
        elman_forward(h, inner, state, x, mask, theta, packed, layer, steps, fold)


cdef floating* recur_back(
    Track* track,               # INOUT  carry
    Workspace* work,            # scratch
    Py_ssize_t at,
    Py_ssize_t segment,
    const Above* above,         # IN  dL/dh from above
    const floating* theta,      # IN  (P,)
    const PackedLayer* packed,
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """Run a chunk back; return dL/da (N, W M)"""
    cdef:
        Py_ssize_t L = layer.L
        const floating* h = <const floating*> track.tape.h + at * L
        const floating* h_before = states_before(track, h, at, segment, layer, steps, False)
        const floating* c = row_of(track.tape.c, h, at, L)
        const floating* c_before = states_before(track, h, at, segment, layer, steps, True)
        const floating* mask = <const floating*> track.mask
        floating* da = <floating*> work.da
        floating* carry = <floating*> track.carry
    if layer.cell == LSTM:
        da = gates_of(track, h, at, layer)
        lstm_backward(da, carry, above, c, c_before, mask, packed, layer, steps)
    elif layer.cell == GRU:
        da = gates_of(track, h, at, layer)
        gru_backward(da, carry, above, h, h_before, mask, packed, layer, steps)
    else:
        elman_backward(da, carry, above, h, mask, <floating*> work.dh_inner, theta, packed, layer,
                       steps)
    return da


cdef void recur_close(
    Track* track,               # INOUT  dstate OUT
    const floating* theta,      # IN  (P,)
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil:
    """What the first step sends back to the states before it"""
    cdef floating* dstate = <floating*> track.dstate
    cdef const floating* carry = <const floating*> track.carry
    cdef const floating* mask = <const floating*> track.mask
    if layer.cell == LSTM:
        lstm_close(dstate, carry, mask, packed, layer, B)
    elif layer.cell == GRU:
        gru_close(dstate, carry, mask, packed, layer, B)
    else:
        elman_close(dstate, carry, mask, theta, packed, layer, B)


cdef floating* kept_before(
    const Track* track,
    const floating* kind,
    Py_ssize_t segment,
    const Layer* layer,
    Py_ssize_t B,
) noexcept nogil:
    """(S, B, M) the states before a segment"""
    return <floating*> track.kept + segment * layer.S * B * layer.L


cdef const floating* states_before(
    const Track* track,
    const floating* kind,
    Py_ssize_t at,
    Py_ssize_t segment,
    const Layer* layer,
    const Steps* steps,
    bint of_c,                  # of c, and not of h
) noexcept nogil:
    """(n_before, M) h or c of the step before a chunk: on the tape, or kept before the segment"""
    cdef const void* rows = track.tape.c if of_c else track.tape.h
    if rows == NULL:
        return NULL
    if at > 0:
        return <const floating*> rows + (at - steps.n_before) * layer.L
    return <const floating*> kept_before(track, kind, segment, layer, steps.B) + (
        steps.B * layer.L if of_c else 0
    )


# ---- the derivatives of the weights --------------------------------------------------------------

cdef const floating* gather_previous(
    floating* right,            # OUT (N, M)  packed, or as it is
    const floating* h_before,   # IN  (n_before, M)  h of the step before the chunk
    const floating* h,          # IN  (N, M)  h of the chunk
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """Let row r be the h_{t-1} of row r of dL/da: a sequence that ended leaves a gap

    Returns where these rows begin: they need not be copied for BLAS if they lie side by side.
    """
    cdef:
        Py_ssize_t M = layer.M, L = layer.L, N = steps.N, t, row = 0, n, n_prev = steps.n_before
        bint equal = steps.n_before == steps.alive[steps.T - 1]
        const floating* h_prev = h_before
    if not layer.small and equal and h_before + n_prev * L == h:
        return h_before
    for t in range(steps.T):
        # of equal lengths all that follow the first step are one block
        n = N - row if equal and t > 0 else steps.alive[t]
        if layer.small:
            pack_columns(right, N, row, h_prev, L, n, M)
        else:
            memcpy(right + row * L, h_prev, n * L * sizeof(floating))
        row += n
        if row == N:
            break
        h_prev = h if t == 0 else h_prev + n_prev * L
        n_prev = steps.alive[t]
    return right


cdef void add_recurrent_derivatives(
    floating* gradient,         # INOUT (P,)  dL/dW_hh; by BLAS dL/dW_ih
    Track* track,               # INOUT       the others
    Workspace* work,            # scratch
    Py_ssize_t at,              # rows of the segment before the chunk
    Py_ssize_t segment,
    const floating* da,         # IN  (N, W M)
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    cdef:
        Py_ssize_t D = layer.D, M = layer.M, L = layer.L, N = steps.N, g, block
        Py_ssize_t lda = layer.W * L
        bint add = steps.n_after > 0    # whether this is not the last chunk, the first one here
        floating* dweight_hh = gradient + layer.weight_hh
        floating* dweight_ih = gradient + layer.weight_ih
        floating* dinputs = <floating*> track.dinputs
        floating* left = <floating*> work.left
        floating* right = <floating*> work.right
        floating* inputs = <floating*> work.inputs
        const floating* x = <const floating*> track.tape.x + at * layer.ldx
        const floating* h = <const floating*> track.tape.h + at * L
        const floating* h_prev = row_of(track.tape.inner, h, at, L)
    if h_prev == NULL:
        h_prev = gather_previous(right, states_before(track, h, at, segment, layer, steps, False),
                                 h, layer, steps)
    elif layer.small:
        pack_columns(right, N, 0, h_prev, L, N, M)

    # forward: a_t = W0 x_t + W11 h_{t-1} + b0, of every gate
    # dL/dW11 = sum_t da_t h_{t-1}'
    # dL/dW0  = sum_t da_t x_t'
    # dL/db0  = sum_t da_t
    if layer.small:
        pack_columns(left, N, 0, da, lda, N, lda)
        pack_inputs(inputs, x, layer.ldx, N, D)
    for g in range(layer.G):
        block = recurrent_block(layer, g) * L
        if layer.small:
            add_transposed(dweight_hh + g * M * M, M, left + block * N, right, N, M, M, add)
        else:
            gemm(dweight_hh + g * M * M, M, da + block, lda, h_prev, L, M, M, N, True, False,
                 <floating> add)
    for g in range(layer.G):
        block = input_block(layer, g) * L
        if layer.small:
            add_transposed(dinputs + g * L, layer.G * L, inputs, left + block * N, N, D + 1, M, add)
        else:
            gemm(dweight_ih + g * M * D, D, da + block, lda, x, layer.ldx, M, D, N, True, False,
                 <floating> add)
            add_rows(track.dbias_h + g * M, da + block, lda, N, M)
    if layer.cell == GRU:
        # forward: q_t = R_n h_{t-1} + b_hn
        add_rows(track.dbias_hn, da + 3 * L, lda, N, M)


cdef void input_derivatives(
    floating* dx,               # OUT (N, D), rows ldx apart
    const floating* da,         # IN  (N, W M)
    const floating* theta,      # IN  (P,)
    const PackedLayer* packed,
    const Layer* layer,
    Py_ssize_t N,
) noexcept nogil:
    """dL/dx_t = W' dL/da_t"""
    cdef Py_ssize_t D = layer.D, M = layer.M, L = layer.L, g
    cdef Py_ssize_t lda = layer.W * L
    cdef const floating* back = <const floating*> packed.ih_back
    cdef const floating* da_g
    # forward: a_t += W x_t
    for g in range(layer.G):
        da_g = da + input_block(layer, g) * L
        if back != NULL:
            multiply_rows(dx, da_g, lda, back + g * M * layer.ldx, N, D, M, g > 0)
        else:
            gemm(dx, layer.ldx, da_g, lda, theta + layer.weight_ih + g * M * D, D, N, D, M, False,
                 False, <floating> (g > 0))


cdef void finish_recurrent_derivatives(
    floating* gradient,     # OUT (P,)  dL/db_h; by the kernels dL/dW_ih
    Track* track,
    const Layer* layer,
) noexcept nogil:
    """The derivatives that were added up apart from the gradient"""
    cdef Py_ssize_t D = layer.D, M = layer.M, L = layer.L, G = layer.G, g, i, d
    cdef floating* dweight_ih = gradient + layer.weight_ih
    cdef const floating* dinputs = <const floating*> track.dinputs
    for g in range(G):
        for i in range(M):
            if layer.small:
                for d in range(D):
                    dweight_ih[(g * M + i) * D + d] = dinputs[(d * G + g) * L + i]
                gradient[layer.bias_h + g * M + i] = dinputs[(D * G + g) * L + i]
            else:
                gradient[layer.bias_h + g * M + i] = <floating> track.dbias_h[g * M + i]
    if layer.cell == GRU:
        for i in range(M):
            gradient[layer.bias_hn + i] = <floating> track.dbias_hn[i]
