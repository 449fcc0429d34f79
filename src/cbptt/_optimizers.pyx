"""One pass over theta each: penalty, norm, clipping, and the steps of the optimisers."""

from cython cimport floating
from libc.float cimport DBL_MIN, FLT_MIN
from libc.math cimport isfinite, sqrt

cdef enum:
    SGD, ADAM, ADAMW, RMSPROP, ADAGRAD

SOLVERS = {
    "sgd": <int> SGD, "adam": <int> ADAM, "adamw": <int> ADAMW, "rmsprop": <int> RMSPROP,
    "adagrad": <int> ADAGRAD,
}


cdef double squared_norm(
    const floating* v,  # IN  (n,)
    Py_ssize_t n,
) noexcept nogil:
    """In sixteen sums side by side: one alone would wait for each of its additions"""
    cdef Py_ssize_t i, j
    cdef double sums[16]
    cdef double total = 0
    for j in range(16):
        sums[j] = 0
    for i in range(0, n - 15, 16):
        for j in range(16):
            sums[j] += <double> v[i + j] * v[i + j]
    for i in range(n - n % 16, n):
        total += <double> v[i] * v[i]
    for j in range(16):
        total += sums[j]
    return total


cdef double penalise(
    floating[::1] gradient,     # INOUT (P,)  in: sum of dL; out: (sum of dL + alpha theta) / weight
    const floating[::1] theta,  # IN    (P,)
    Py_ssize_t n_weights,       # the first n_weights entries are penalised, the biases are not
    double alpha,
    double weight_sum,
) noexcept nogil:
    """d/dtheta of (sum of L + alpha / 2 |weights|^2) / weight_sum; return alpha / 2 |weights|^2"""
    cdef:
        Py_ssize_t i
        double penalty = alpha / 2 * squared_norm(&theta[0], n_weights)
        floating a = <floating> alpha
        floating factor = <floating> (1 / weight_sum)
    for i in range(n_weights):
        gradient[i] = (gradient[i] + a * theta[i]) * factor
    for i in range(n_weights, gradient.shape[0]):
        gradient[i] *= factor
    return penalty


cdef double norm(
    const floating[::1] v,  # IN    (P,)
) noexcept nogil:
    return sqrt(squared_norm(&v[0], v.shape[0]))


cdef void scale(
    floating[::1] v,  # INOUT (P,)  v = factor v
    double factor,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating c = <floating> factor
    for i in range(v.shape[0]):
        v[i] *= c


cdef void sgd_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] velocity,        # INOUT (P,)
    const floating[::1] gradient,  # IN  (P,)
    double learning_rate,
    double momentum,
    bint nesterov,
) noexcept nogil:
    """v = mu v - eta g;  theta += v,  or mu v - eta g with Nesterov's look-ahead

    Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum in
    deep learning, in the form that scikit-learn's MLP uses.
    """
    cdef:
        Py_ssize_t i
        floating mu = <floating> momentum
        floating eta = <floating> learning_rate
    for i in range(theta.shape[0]):
        velocity[i] = mu * velocity[i] - eta * gradient[i]
        theta[i] += mu * velocity[i] - eta * gradient[i] if nesterov else velocity[i]


cdef inline double normal(double epsilon, size_t itemsize) noexcept nogil:
    """epsilon, or the smallest normal number: a smaller one is flushed to 0, and 0 / 0 is NaN"""
    return max(epsilon, FLT_MIN if itemsize == sizeof(float) else DBL_MIN)


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
) noexcept nogil:
    """m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  theta -= eta m^ / (sqrt(v^) + eps)

    Kingma & Ba (2015), Adam: A method for stochastic optimization, algorithm 1, with the bias
    corrections m^ = m / (1 - b1^t) and v^ = v / (1 - b2^t).
    """
    cdef:
        Py_ssize_t i
        floating b1 = <floating> beta_1, rest_1 = <floating> (1 - beta_1)
        floating b2 = <floating> beta_2, rest_2 = <floating> (1 - beta_2)
        floating eta = <floating> (learning_rate / (1 - beta_1 ** step))
        floating root = <floating> (1 / sqrt(1 - beta_2 ** step))
        floating eps = <floating> normal(epsilon, sizeof(floating))
        floating g
    for i in range(theta.shape[0]):
        g = gradient[i]
        m[i] = b1 * m[i] + rest_1 * g
        v[i] = b2 * v[i] + rest_2 * g * g
        theta[i] -= eta * m[i] / (<floating> sqrt(v[i]) * root + eps)


cdef void decay_weights(
    floating[::1] theta,    # INOUT (P,)
    Py_ssize_t n_weights,   # the first n_weights entries decay, the biases do not
    double decay,
) noexcept nogil:
    """theta -= decay theta, apart from the gradient

    Loshchilov & Hutter (2019), Decoupled weight decay regularization, algorithm 2, where decay is
    the learning rate times lambda.
    """
    cdef Py_ssize_t i
    cdef floating rest = <floating> (1 - decay)
    for i in range(n_weights):
        theta[i] *= rest


cdef void rmsprop_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] v,               # INOUT (P,)  mean square of the gradient
    const floating[::1] gradient,  # IN    (P,)
    double learning_rate,
    double rho,
    double epsilon,
) noexcept nogil:
    """v = rho v + (1 - rho) g^2;  theta -= eta g / (sqrt(v) + eps)

    Tieleman & Hinton (2012), Lecture 6.5: divide the gradient by a running average of its recent
    magnitude.
    """
    cdef:
        Py_ssize_t i
        floating r = <floating> rho, rest = <floating> (1 - rho)
        floating eta = <floating> learning_rate
        floating eps = <floating> normal(epsilon, sizeof(floating))
        floating g
    for i in range(theta.shape[0]):
        g = gradient[i]
        v[i] = r * v[i] + rest * g * g
        theta[i] -= eta * g / (<floating> sqrt(v[i]) + eps)


cdef void adagrad_step(
    floating[::1] theta,           # INOUT (P,)
    floating[::1] v,               # INOUT (P,)  sum of squares of the gradient
    const floating[::1] gradient,  # IN    (P,)
    double learning_rate,
    double epsilon,
) noexcept nogil:
    """v += g^2;  theta -= eta g / (sqrt(v) + eps)

    Duchi, Hazan & Singer (2011), Adaptive subgradient methods for online learning and stochastic
    optimization, in its diagonal form.
    """
    cdef:
        Py_ssize_t i
        floating eta = <floating> learning_rate
        floating eps = <floating> normal(epsilon, sizeof(floating))
        floating g
    for i in range(theta.shape[0]):
        g = gradient[i]
        v[i] += g * g
        theta[i] -= eta * g / (<floating> sqrt(v[i]) + eps)


# ---- an update -----------------------------------------------------------------------------------

cdef class Update:
    """What an update of the parameters does with a gradient.

    Parameters
    ----------
    solver : {"sgd", "adam", "adamw", "rmsprop", "adagrad"}
    n_weights : int
        How many entries of theta, from the first, are penalised and decay.
    alpha : float
        L2 penalty, see `penalise`.
    max_grad_norm : float
        A gradient of larger Euclidean norm is scaled down to it.
    momentum, nesterov : of "sgd"
    beta_1, beta_2, epsilon : of the others; beta_2 is the rho of "rmsprop"
    decay : float
        Decoupled weight decay of "adamw", relative to the learning rate.

    Raises
    ------
    ValueError
        For an unknown solver or a negative n_weights.
    """

    def __cinit__(
        self, str solver, Py_ssize_t n_weights, double alpha, double max_grad_norm,
        double momentum, bint nesterov, double beta_1, double beta_2, double epsilon, double decay,
    ):
        if solver not in SOLVERS or n_weights < 0:
            raise ValueError(f"an update by {solver!r} of {n_weights} weights")
        self.solver, self.n_weights = SOLVERS[solver], n_weights
        self.alpha, self.max_grad_norm = alpha, max_grad_norm
        self.momentum, self.nesterov = momentum, nesterov
        self.beta_1, self.beta_2, self.epsilon, self.decay = beta_1, beta_2, epsilon, decay


cdef Outcome update_parameters(
    floating[::1] theta,        # INOUT (P,)
    floating[::1] moment_1,     # INOUT (P,)
    floating[::1] moment_2,     # INOUT (P,)
    floating[::1] gradient,     # INOUT (P,)  in: sum of dL; out: what theta was moved by
    double weight_sum,
    Update u,
    double learning_rate,
    Py_ssize_t step,            # 1 at the first update
) noexcept nogil:
    """Penalty, norm, clipping, and the step of the optimiser"""
    cdef Outcome outcome
    cdef floating clipped
    outcome.penalty = penalise(gradient, theta, u.n_weights, u.alpha, weight_sum)

    # Adam squares the gradient: where that overflows, its entries would never move again.
    outcome.norm = norm(gradient)
    clipped = <floating> min(outcome.norm, u.max_grad_norm)
    outcome.finite = (
        isfinite(outcome.penalty) and isfinite(outcome.norm) and isfinite(clipped * clipped)
    )
    outcome.clipped = outcome.norm > u.max_grad_norm
    if not outcome.finite:
        return outcome
    if outcome.clipped:
        scale(gradient, u.max_grad_norm / outcome.norm)

    if u.solver == ADAMW:
        decay_weights(theta, u.n_weights, learning_rate * u.decay)
    if u.solver == ADAM or u.solver == ADAMW:
        adam_step(theta, moment_1, moment_2, gradient, learning_rate, u.beta_1, u.beta_2,
                  u.epsilon, step)
    elif u.solver == RMSPROP:
        rmsprop_step(theta, moment_2, gradient, learning_rate, u.beta_2, u.epsilon)
    elif u.solver == ADAGRAD:
        adagrad_step(theta, moment_2, gradient, learning_rate, u.epsilon)
    else:
        sgd_step(theta, moment_1, gradient, learning_rate, u.momentum, u.nesterov)
    return outcome


cdef int require_length(str name, Py_ssize_t n, Py_ssize_t expected) except -1:
    if n != expected:
        raise ValueError(
            f"cbptt's compiled code got {name} of shape {(n,)}; expected {(expected,)}, as theta."
        )
    return 0


def update(
    floating[::1] theta,
    floating[::1] moment_1,
    floating[::1] moment_2,
    floating[::1] gradient,
    double weight_sum,
    Update u,
    double learning_rate,
    Py_ssize_t step,
):
    """Update theta by the gradient of a batch.

    Parameters
    ----------
    theta, moment_1, moment_2 : (P,) changed in place
    gradient : (P,) the sum over the batch; it is overwritten
    weight_sum : float
        The weight of the batch, by which its loss and penalty are divided.
    u : Update
    learning_rate : float
    step : int
        1 at the first update.

    Returns
    -------
    finite, norm, clipped, penalty : bool, float, bool, float
        If the gradient is not finite, theta and the moments are left as they are. norm is that of
        the gradient before clipping; penalty is to be added to the sum of losses.
    """
    cdef Outcome outcome
    require_length("moment_1", moment_1.shape[0], theta.shape[0])
    require_length("moment_2", moment_2.shape[0], theta.shape[0])
    require_length("gradient", gradient.shape[0], theta.shape[0])
    require_length("the penalised weights", min(u.n_weights, theta.shape[0]), u.n_weights)
    with nogil:
        outcome = update_parameters(theta, moment_1, moment_2, gradient, weight_sum, u,
                                    learning_rate, step)
    return bool(outcome.finite), outcome.norm, bool(outcome.clipped), outcome.penalty
