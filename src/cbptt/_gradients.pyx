"""The five derivatives (the lecture, "Summary"), added up chunk by chunk of steps.

Each line is one product over all rows of a chunk, which are still in cache from the recurrence.
The package's kernels take it where there is scratch to pack its sides into, and BLAS elsewhere.
"""

from cython cimport floating
from libc.string cimport memcpy

from cbptt._blas cimport add_rows, gemm
from cbptt._kernels cimport add_transposed, pack_columns, pack_inputs, padded


cdef void add_output_derivatives(
    floating* dweight_ho,   # INOUT (K, M)
    double* dbias_o,        # INOUT (K,)
    floating* left,         # scratch (R, K) packed; or NULL: BLAS
    floating* right,        # scratch (R, M) packed
    const floating* dz,     # IN    (R, K)  dL/da2
    const floating* h,      # IN    (R, M)  the states that the outputs read
    Py_ssize_t R,
    Py_ssize_t M,
    Py_ssize_t K,
    bint add,               # whether this is not the first chunk
) noexcept nogil:
    cdef Py_ssize_t L = padded(M, sizeof(floating)), LK = padded(K, sizeof(floating))

    # forward: a2_t = W1 h_t + b1
    # dL/dW1 = sum_t dz_t h_t'
    # dL/db1 = sum_t dz_t
    if left != NULL:
        pack_columns(left, R, 0, dz, R, K)
        pack_columns(right, R, 0, h, R, M)
        add_transposed(dweight_ho, M, left, right, R, K, M, add)
    else:
        gemm(dweight_ho, M, dz, LK, h, L, K, M, R, True, False, <floating> add)
    add_rows(dbias_o, dz, LK, R, K)


cdef void add_hidden_derivatives(
    floating* dweight_hh,           # INOUT (M, M)
    floating* dweight_ih,           # INOUT (M, D); by the kernels (D + 1, M): its transpose, and
                                    #       below it dL/db0
    double* dbias_h,                # INOUT (M,); by BLAS only
    floating* left,                 # scratch (N, M) packed; or NULL: BLAS
    floating* right,                # scratch (N, M) packed, or as it is
    floating* inputs,               # scratch (N, D + 1) packed
    const floating* da,             # IN    (N, M)  dL/da1
    const floating* h_prev,         # IN    (*, M)  h from the step before the chunk on
    const floating* x,              # IN    (N, D), rows D apart
    const Py_ssize_t* batch_sizes,  # IN    (T,)
    Py_ssize_t n_before,            # rows of the step before the chunk
    Py_ssize_t T,
    Py_ssize_t N,
    Py_ssize_t D,
    Py_ssize_t M,
    bint add,                       # whether this is not the first chunk
) noexcept nogil:
    cdef:
        Py_ssize_t L = padded(M, sizeof(floating))
        Py_ssize_t t, row = 0
        bint equal = n_before == batch_sizes[T - 1]
        const floating* h_rows = h_prev

    # Row r of h_prev shall be the h_{t-1} of row r of da: a sequence that ended leaves a gap.
    if left != NULL and equal:
        pack_columns(right, N, 0, h_prev, N, M)
    elif not equal:
        for t in range(T):
            if left != NULL:
                pack_columns(right, N, row, h_rows, batch_sizes[t], M)
            else:
                memcpy(right + row * L, h_rows, batch_sizes[t] * L * sizeof(floating))
            h_rows += n_before * L
            n_before = batch_sizes[t]
            row += batch_sizes[t]

    # forward: a1_t = W0 x_t + W11 h_{t-1} + b0
    # dL/dW11 = sum_t da_t h_{t-1}'
    # dL/dW0  = sum_t da_t x_t'
    # dL/db0  = sum_t da_t
    if left != NULL:
        pack_columns(left, N, 0, da, N, M)
        pack_inputs(inputs, x, N, D)
        add_transposed(dweight_hh, M, left, right, N, M, M, add)
        add_transposed(dweight_ih, L, inputs, left, N, D + 1, M, add)
    else:
        gemm(dweight_hh, M, da, L, h_prev if equal else right, L, M, M, N, True, False,
             <floating> add)
        gemm(dweight_ih, D, da, L, x, D, M, D, N, True, False, <floating> add)
        add_rows(dbias_h, da, L, N, M)
