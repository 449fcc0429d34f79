"""One pass over theta each: penalty, norm, clipping, and the steps of the optimisers."""

from cython cimport floating


cdef double penalise(
    floating[::1] gradient,     # INOUT (P,)  in: sum of dL; out: (sum of dL + alpha theta) / weight
    const floating[::1] theta,  # IN    (P,)
    Py_ssize_t n_weights,       # the first n_weights entries are penalised, the biases are not
    double alpha,
    double weight_sum,
) noexcept nogil

cdef double norm(
    const floating[::1] v,  # IN    (P,)
) noexcept nogil

cdef void scale(
    floating[::1] v,  # INOUT (P,)  v = factor v
    double factor,
) noexcept nogil

cdef void sgd_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] velocity,        # INOUT (P,)
    const floating[::1] gradient,  # IN  (P,)
    double learning_rate,
    double momentum,
    bint nesterov,
) noexcept nogil

cdef void adam_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] m,               # INOUT (P,)  first moment
    floating[::1] v,               # INOUT (P,)  second moment
    const floating[::1] gradient,  # IN  (P,)
    double learning_rate,
    double beta_1,
    double beta_2,
    double epsilon,
    Py_ssize_t step,               # 1 at the first step
) noexcept nogil

cdef void decay_weights(
    floating[::1] theta,    # INOUT (P,)
    Py_ssize_t n_weights,   # the first n_weights entries decay, the biases do not
    double decay,
) noexcept nogil

cdef void rmsprop_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] v,               # INOUT (P,)  mean square of the gradient
    const floating[::1] gradient,  # IN    (P,)
    double learning_rate,
    double rho,
    double epsilon,
) noexcept nogil

cdef void adagrad_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] v,               # INOUT (P,)  sum of squares of the gradient
    const floating[::1] gradient,  # IN    (P,)
    double learning_rate,
    double epsilon,
) noexcept nogil
