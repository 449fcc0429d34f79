"""What reads the states: readouts, output layer, loss, and the way back to dL/dh.

The readout takes every state, the last of each sequence, their mean, or the largest value of each
unit. Steps come chunk by chunk, of sequences sorted by length: a sequence that has ended has no row
any more, so each is pooled over its own steps.
"""

from cython cimport floating
from libc.string cimport memcpy

from cbptt._blas cimport add_rows, fill_rows, gemm
from cbptt._cut cimport Steps
from cbptt._kernels cimport IDENTITY, add_transposed, backward_step, forward_step, pack_columns
from cbptt._losses cimport loss_and_delta, output
from cbptt._network cimport MEAN, Head, Packed
from cbptt._packing cimport gather_one_hot, gather_rows, scatter_rows


# ---- the states of a sequence as one: forward and back -------------------------------------------

cdef void pool_steps(
    Outputs* outputs,       # INOUT MEAN: the sums so far; MAX: the largest values so far
    const floating* h,      # IN    (N, M)
    const Head* head,
    const Steps* steps,
) noexcept nogil:
    """MEAN: sums += h_t;  MAX: pooled = max(pooled, h_t)"""
    cdef Py_ssize_t t, i, n
    cdef double* sums = outputs.sums
    cdef floating* pooled = <floating*> outputs.pooled
    cdef const floating* h_t = h
    for t in range(steps.T):
        n = steps.alive[t] * head.L
        if head.readout == MEAN:
            for i in range(n):
                sums[i] = sums[i] + h_t[i] if steps.first + t > 0 else h_t[i]
        elif steps.first + t == 0:
            memcpy(pooled, h_t, n * sizeof(floating))
        else:
            for i in range(n):
                pooled[i] = h_t[i] if h_t[i] > pooled[i] else pooled[i]
        h_t += n


cdef void finish_pooling(
    floating* pooled,           # OUT (B, M)
    const Outputs* outputs,
    const Py_ssize_t* lengths,  # IN  (B,)
    Py_ssize_t B,
    const Head* head,
) noexcept nogil:
    """MEAN: pooled = 1/T sum_t h_t;  MAX: as it is"""
    cdef Py_ssize_t b, i
    for b in range(B if head.readout == MEAN else 0):
        for i in range(b * head.L, (b + 1) * head.L):
            pooled[i] = <floating> (outputs.sums[i] / lengths[b])


cdef void spread_steps(
    floating* dh,               # OUT   (N, M)
    Outputs* outputs,           # INOUT its dh; MAX: 0 once it has been passed on
    const floating* h,          # IN    (N, M)
    const Py_ssize_t* lengths,  # IN    (B,)
    const Head* head,
    const Steps* steps,
) noexcept nogil:
    """dL/dh_t: 1/T of dL/dpooled each; or all of it to the largest, of equal ones the last

    Chunks come from the last one back.
    """
    cdef:
        Py_ssize_t L = head.L, t, b, i, row = steps.N
        floating* dpooled = <floating*> outputs.dh
        const floating* pooled = <const floating*> outputs.pooled
        floating* dh_t
        const floating* h_t
        floating share
    for t in range(steps.T - 1, -1, -1):
        row -= steps.alive[t]
        dh_t = dh + row * L
        # forward: pooled = 1/T sum_t h_t
        # forward: pooled = max_t h_t
        if head.readout == MEAN:
            for b in range(steps.alive[t]):
                share = <floating> (1. / lengths[b])
                for i in range(b * L, (b + 1) * L):
                    dh_t[i] = dpooled[i] * share
        else:
            h_t = h + row * L
            for i in range(steps.alive[t] * L):
                dh_t[i] = dpooled[i] if h_t[i] == pooled[i] else 0
                dpooled[i] = 0 if h_t[i] == pooled[i] else dpooled[i]


# ---- the output layer: forward and back ----------------------------------------------------------

cdef void read_out(
    floating* z,            # OUT (R, K)
    const floating* h,      # IN  (R, M)  the states that are read
    const floating* theta,  # IN  (P,)
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
) noexcept nogil:
    """a2_t = W1 h_t + b1"""
    cdef Py_ssize_t M = head.M, K = head.K
    cdef const floating* bias_o = <const floating*> packed.bias_o
    if packed.oh != NULL:
        forward_step(z, bias_o, 0, h, head.L, <const floating*> packed.oh,
                     <const floating*> NULL, <const floating*> NULL, R, K, M, IDENTITY)
    else:
        fill_rows(z, bias_o, R, head.LK)
        gemm(z, head.LK, h, head.L, theta + head.weight_ho, M, R, K, M, False, True, <floating> 1)


cdef void predict_rows(
    floating* predictions,      # OUT (*, K)  predictions[rows[r]] = h2 of row r, or a2
    Outputs* outputs,           # scratch
    const floating* h,          # IN  (R, M)
    const Py_ssize_t* rows,     # IN  (R,)
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
    bint activated,             # whether predictions are h2, else a2
) noexcept nogil:
    """h2 = f(a2)"""
    cdef floating* z = <floating*> outputs.z
    read_out(z, h, theta, packed, head, R)
    if activated:
        output(z, head.LK, R, head.K, head.f)
    scatter_rows(predictions, head.K, z, head.LK, rows, R, head.K)


cdef double add_losses(
    floating* gradient,         # INOUT (P,)  dL/dW1
    double* weight_sum,         # INOUT
    Outputs* outputs,           # INOUT       z, dz, dL/db1
    const floating* h,          # IN  (R, M)
    const Py_ssize_t* rows,     # IN  (R,)    where the targets of the rows stand
    const Targets* targets,
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
    bint add,                   # whether this is not the first chunk
) noexcept nogil:
    """h2 = f(a2), L, dL/da2, and the derivatives of the output layer; return the sum of w L"""
    cdef:
        Py_ssize_t M = head.M, K = head.K, L = head.L, LK = head.LK, r
        floating* z = <floating*> outputs.z
        floating* dz = <floating*> outputs.dz
        floating* weight = <floating*> outputs.weight
        floating* left = <floating*> outputs.left
        floating* right = <floating*> outputs.right
        floating* dweight_ho = gradient + head.weight_ho
        const floating* weights = <const floating*> targets.weights
        double loss
    for r in range(R):
        weight[r] = weights[rows[r]]
        weight_sum[0] += weight[r]
    if targets.values == NULL:
        gather_one_hot(dz, LK, targets.labels, rows, R, K)
    else:
        gather_rows(dz, LK, <const floating*> targets.values, K, rows, R, K)
    read_out(z, h, theta, packed, head, R)
    loss = loss_and_delta(z, dz, LK, weight, R, K, head.f, head.loss)

    # forward: a2_t = W1 h_t + b1
    # dL/dW1 = sum_t dz_t h_t'
    # dL/db1 = sum_t dz_t
    if head.small:
        pack_columns(left, R, 0, dz, LK, R, K)
        pack_columns(right, R, 0, h, L, R, M)
        add_transposed(dweight_ho, M, left, right, R, K, M, add)
    else:
        gemm(dweight_ho, M, dz, LK, h, L, K, M, R, True, False, <floating> add)
    add_rows(outputs.dbias_o, dz, LK, R, K)
    return loss


cdef void back_to_states(
    floating* dh,               # OUT (R, M)
    const Outputs* outputs,     # IN         its dz
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
) noexcept nogil:
    """dL/dh_t = dL/da2_t W1"""
    cdef const floating* dz = <const floating*> outputs.dz
    # forward: a2_t = W1 h_t
    if packed.ho_back != NULL:
        backward_step(dh, <const floating*> NULL, dz, <const floating*> packed.ho_back,
                      <const floating*> NULL, <const floating*> NULL, <const floating*> NULL, R,
                      head.M, head.K, IDENTITY)
    else:
        gemm(dh, head.L, dz, head.LK, theta + head.weight_ho, head.M, R, head.M, head.K, False,
             False, <floating> 0)
