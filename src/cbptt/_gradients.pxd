"""The five derivatives."""

from cython cimport floating


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
) noexcept nogil

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
) noexcept nogil
