"""What reads the states: readouts, output layer, loss, and the way back to dL/dh."""

from cython cimport floating

from cbptt._cut cimport Steps
from cbptt._network cimport Head, Packed


cdef struct Outputs:    # of a part
    double* sums        # (B, M)  MEAN: the sum of the states so far
    void* pooled        # (B, M)  MEAN, MAX: the states as one
    void* z             # (R, K)  a2, then h2
    # forward and back
    void* weight        # (R,)
    void* dz            # (R, K)  dL/da2
    void* dh         # (B, M)  dL/d of the states that are read, unless EVERY
    double* dbias_o     # (K,)
    void* left          # (R, K)  packed; or NULL: BLAS
    void* right         # (R, M)  packed


cdef struct Targets:
    const void* values          # (*, K); or NULL, and
    const Py_ssize_t* labels    # (*,)    classes
    const void* weights         # (*,)


cdef void pool_steps(
    Outputs* outputs,
    const floating* h,
    const Head* head,
    const Steps* steps,
) noexcept nogil

cdef void finish_pooling(
    floating* pooled,
    const Outputs* outputs,
    const Py_ssize_t* lengths,
    Py_ssize_t B,
    const Head* head,
) noexcept nogil

cdef void spread_steps(
    floating* dh,
    Outputs* outputs,
    const floating* h,
    const Py_ssize_t* lengths,
    const Head* head,
    const Steps* steps,
) noexcept nogil

cdef void read_out(
    floating* z,
    const floating* h,
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
) noexcept nogil

cdef void predict_rows(
    floating* predictions,
    Outputs* outputs,
    const floating* h,
    const Py_ssize_t* rows,
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
    bint activated,
) noexcept nogil

cdef double add_losses(
    floating* gradient,
    double* weight_sum,
    Outputs* outputs,
    const floating* h,
    const Py_ssize_t* rows,
    const Targets* targets,
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
    bint add,
) noexcept nogil

cdef void back_to_states(
    floating* dh,
    const Outputs* outputs,
    const floating* theta,
    const Packed* packed,
    const Head* head,
    Py_ssize_t R,
) noexcept nogil
