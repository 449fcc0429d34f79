"""The two recurrences of the single-hidden-layer network."""

from cython cimport floating


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
) noexcept nogil

cdef void elman_backward(
    floating[:, ::1] da,                # INOUT (N, M)  in: dL/dh from the outputs; out: dL/da
    floating[:, ::1] dh0,               # OUT   (B, M)
    floating[::1] packed_hh,            # scratch for the packed W11; empty: BLAS takes the steps
    const floating[:, ::1] h,           # IN    (N, M)  from elman_forward
    const floating[:, ::1] weight_hh,   # IN    (M, M)  W11
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
    int f,
) noexcept nogil

cdef void shift_states(
    floating[:, ::1] states,            # INOUT (B + N, M)  in: h0, then h; out: h_{t-1} of each row
    const Py_ssize_t[::1] batch_sizes,  # IN    (T,)
) noexcept nogil
