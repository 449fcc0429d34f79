"""The five derivatives (the lecture, "Summary"): one product over all steps each."""

from cython cimport floating

from cbptt._kernels cimport hidden_derivatives
from cbptt._blas cimport gemm_tn, sum_rows
from cbptt._elman cimport shift_states


cdef void five_derivatives(
    floating[:, ::1] dweight_ho,        # OUT   (K, M)
    floating[::1] dbias_o,              # OUT   (K,)
    floating[:, ::1] dweight_hh,        # OUT   (M, M)
    floating[:, ::1] dweight_ih,        # OUT   (M, D)
    floating[::1] dbias_h,              # OUT   (M,)
    floating[:, ::1] states,            # INOUT (B + N, M)  in: h0, then h; out: h_{t-1} of each row
    floating[::1] chunk,                # scratch; empty: BLAS takes all products
    const floating[:, ::1] dz,          # IN    (R, K)  dL/da2
    const floating[:, ::1] da,          # IN    (N, M)  dL/da1
    const floating[:, ::1] h_read,      # IN    (R, M)  the states that the outputs read
    const floating[:, ::1] x,           # IN    (N, D)
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
) noexcept nogil:
    cdef floating[:, ::1] h_prev

    # forward: a2_t = W1 h_t + b1
    gemm_tn(dweight_ho, dz, h_read)       # dL/dW1  = sum_t dz_t h_t'
    sum_rows(dbias_o, dz)                 # dL/db1  = sum_t dz_t

    shift_states(states, batch_sizes)
    h_prev = states[:x.shape[0]]

    # forward: a1_t = W0 x_t + W11 h_{t-1} + b0
    if chunk.shape[0] > 0:
        # the three lines below, together, while a chunk of rows is in cache
        hidden_derivatives(dweight_hh, dweight_ih, dbias_h, chunk, da, h_prev, x)
    else:
        gemm_tn(dweight_hh, da, h_prev)   # dL/dW11 = sum_t da_t h_{t-1}'
        gemm_tn(dweight_ih, da, x)        # dL/dW0  = sum_t da_t x_t'
        sum_rows(dbias_h, da)             # dL/db0  = sum_t da_t
