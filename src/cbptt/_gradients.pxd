"""The five derivatives."""

from cython cimport floating


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
) noexcept nogil
