"""Updates of the parameters: penalty, norm, clipping, and the steps of the optimisers."""

from cython cimport floating


cdef struct Outcome:    # of an update
    bint finite         # or theta was left as it is
    bint clipped
    double norm         # of the gradient, before it was clipped
    double penalty      # to be added to the sum of losses


cdef class Update:
    cdef:
        int solver
        Py_ssize_t n_weights
        double alpha, max_grad_norm, momentum, beta_1, beta_2, epsilon, decay
        bint nesterov


cdef Outcome update_parameters(
    floating[::1] theta,
    floating[::1] moment_1,
    floating[::1] moment_2,
    floating[::1] gradient,
    double weight_sum,
    Update u,
    double learning_rate,
    Py_ssize_t step,
) noexcept nogil
