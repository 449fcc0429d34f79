"""The derivatives of a recurrent layer's weights (the lecture, "Summary"), chunk by chunk of steps.

Each line is one product over all rows of a chunk, which are still in cache from the recurrence.
The package's kernels compute it where there is memory to pack its sides into, and BLAS elsewhere.
"""

from cython cimport floating
from libc.string cimport memcpy

from cbptt._blas cimport add_rows, gemm
from cbptt._cut cimport Steps
from cbptt._kernels cimport add_transposed, pack_columns, pack_inputs
from cbptt._network cimport Layer


cdef const floating* gather_previous(
    floating* right,            # OUT (N, M)  packed, or as it is
    const floating* h_before,   # IN  (n_before, M)  h of the step before the chunk
    const floating* h,          # IN  (N, M)  h of the chunk
    const Layer* layer,
    const Steps* steps,
) noexcept nogil:
    """Let row r be the h_{t-1} of row r of da: a sequence that ended leaves a gap

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
            pack_columns(right, N, row, h_prev, n, M)
        else:
            memcpy(right + row * L, h_prev, n * L * sizeof(floating))
        row += n
        if row == N:
            break
        h_prev = h if t == 0 else h_prev + n_prev * L
        n_prev = steps.alive[t]
    return right


cdef void add_recurrent_derivatives(
    floating* gradient,         # INOUT (P,)  dL/dW11; by BLAS dL/dW0
    Sums* sums,                 # INOUT       the others
    const floating* da,         # IN    (N, M)  dL/da
    const floating* h_before,   # IN    (n_before, M)  h of the step before
    const floating* h,          # IN    (N, M)
    const floating* inner,      # IN    (N, M)  m h_{t-1}; or NULL: h_{t-1} is read as it is
    const floating* x,          # IN    (N, D), rows D apart
    const Layer* layer,
    const Steps* steps,
    bint add,                   # whether this is not the first chunk
) noexcept nogil:
    cdef:
        Py_ssize_t D = layer.D, M = layer.M, L = layer.L, N = steps.N
        floating* dweight_hh = gradient + layer.weight_hh
        floating* left = <floating*> sums.left
        floating* right = <floating*> sums.right
        floating* inputs = <floating*> sums.inputs
        const floating* h_prev = inner
    if inner == NULL:
        h_prev = gather_previous(right, h_before, h, layer, steps)
    elif layer.small:
        pack_columns(right, N, 0, inner, N, M)

    # forward: a1_t = W0 x_t + W11 h_{t-1} + b0
    # dL/dW11 = sum_t da_t h_{t-1}'
    # dL/dW0  = sum_t da_t x_t'
    # dL/db0  = sum_t da_t
    if layer.small:
        pack_columns(left, N, 0, da, N, M)
        pack_inputs(inputs, x, N, D)
        add_transposed(dweight_hh, M, left, right, N, M, M, add)
        add_transposed(<floating*> sums.dinputs, L, inputs, left, N, D + 1, M, add)
    else:
        gemm(dweight_hh, M, da, L, h_prev, L, M, M, N, True, False, <floating> add)
        gemm(gradient + layer.weight_ih, D, da, L, x, D, M, D, N, True, False, <floating> add)
        add_rows(sums.dbias_h, da, L, N, M)


cdef void finish_recurrent_derivatives(
    floating* gradient,     # OUT (P,)  dL/db0; by the kernels dL/dW0
    const Sums* sums,
    const Layer* layer,
) noexcept nogil:
    cdef Py_ssize_t D = layer.D, M = layer.M, L = layer.L, i, d
    cdef const floating* dinputs = <const floating*> sums.dinputs
    for i in range(M):
        if layer.small:
            for d in range(D):
                gradient[layer.weight_ih + i * D + d] = dinputs[d * L + i]
            gradient[layer.bias_h + i] = dinputs[D * L + i]
        else:
            gradient[layer.bias_h + i] = <floating> sums.dbias_h[i]
