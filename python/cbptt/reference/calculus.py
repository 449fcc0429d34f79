"""The lecture's background, its detour "nabla_W L(Wx)", and its "Note about biases".

Each function is a statement of the lecture. `derivative` is the conventions of "Matrix and Vector
Calculus": it differentiates by `complex_step`, without the chain rule, and so checks the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


# ----------------------------------------------------------- Background: Multivariate Chain Rule


def chain_rule(*ways: tuple[npt.ArrayLike, npt.ArrayLike]) -> Array:
    """The multivariate chain rule: a sum over the ways in which x affects f.

    The lecture's

        df(u(x), v(x))/dx = (df/du) (du/dx) + (df/dv) (dv/dx)

    for scalars, and for vectors and matrices in the layout of `derivative`.

    Parameters
    ----------
    *ways : pairs (outer, inner)
        For each way, for example through u, the derivative of f with respect to u, a (..., k)
        array, and the derivative of u with respect to x, a (k, ...) array. Both are numbers where
        all is scalar.

    Returns
    -------
    derivative : (..., ...) array
        The sum of the products, a derivative of f with respect to x.

    Raises
    ------
    ValueError
        If there is no way, if the two arrays of a way cannot be multiplied, or if the products of
        two ways have different shapes: nothing is broadcast.

    Examples
    --------
    f = u v with u = x^2 and v = x^3 is x^5, whose derivative at 2 is 5 * 2^4:

    >>> x, u, v = 2, 4, 8
    >>> print(chain_rule((v, 2 * x), (u, 3 * x**2)))
    80
    """
    if not ways:
        raise ValueError("chain_rule got no way; give a pair (outer, inner) for each way to f.")
    products = []
    for i, (outer, inner) in enumerate(ways):
        outer, inner = np.asarray(outer), np.asarray(inner)
        if outer.shape[-1:] != inner.shape[:1]:
            raise ValueError(
                f"chain_rule got ways[{i}] with the shapes {outer.shape} and {inner.shape}, but "
                "the last axis of the first must be as long as the first axis of the second."
            )
        products.append(np.tensordot(outer, inner, axes=min(outer.ndim, 1)))
        if products[i].shape != products[0].shape:
            raise ValueError(
                f"chain_rule got ways[{i}] with a product of shape {products[i].shape}, but that "
                f"of ways[0] has {products[0].shape}; derivatives of one f with respect to one x "
                "have one shape."
            )
    total: Array = np.sum(products, axis=0)
    return total


# ----------------------------------------------------------- Background: Matrix and Vector Calculus


def derivative(function: Callable[[Array], Any], argument: npt.ArrayLike) -> Array:
    """Derivative of y = function(x) with respect to x, in the lecture's layout.

    ================ =========== ===================================================
    y, by x          shape       entries
    ================ =========== ===================================================
    scalar by vector (1, d)      a row, dy/dx_j in column j
    vector by scalar (k, 1)      a column, dy_i/dx in row i
    vector by vector (k, d)      the Jacobian matrix, dy_i/dx_j in row i, column j
    scalar by scalar (1, 1)      the 1 x 1 Jacobian matrix dy/dx
    scalar by matrix (n, m)      transposed: dy/dx_ij in row j, column i
    matrix by scalar (m, n)      dy_ij/dx in row i, column j
    vector by matrix (k, n, m)   slice i is the derivative of the scalar y_i
    ================ =========== ===================================================

    The first four are one convention, as a scalar is a vector with one entry.

    Parameters
    ----------
    function : callable
        Takes a complex array of the shape of `argument` and returns y. It must be analytic, as for
        `complex_step`.
    argument : (...) array of real numbers
        x, where to take the derivative: a scalar, a (d,) vector or an (m, n) matrix.

    Returns
    -------
    derivative : (k, d), (n, m), (m, n) or (k, n, m) array
        As in the table.

    Raises
    ------
    ValueError
        If the lecture has no layout for such an x and y, as for a matrix by a vector.
    TypeError
        If `function` returns real numbers for a complex array.

    Examples
    --------
    >>> x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    >>> derivative(lambda x: y @ x, x)  # scalar by vector
    array([[3., 4.]])
    >>> derivative(lambda x: x * y, 5.0)  # vector by scalar
    array([[3.],
           [4.]])
    >>> derivative(np.square, x)  # vector by vector
    array([[2., 0.],
           [0., 4.]])
    >>> derivative(np.square, 5.0)  # scalar by scalar
    array([[10.]])

    >>> X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> derivative(lambda X: y @ X @ [1, 10, 100], X)  # scalar by matrix
    array([[  3.,   4.],
           [ 30.,  40.],
           [300., 400.]])
    >>> derivative(lambda x: x * X, 5.0)  # matrix by scalar
    array([[1., 2., 3.],
           [4., 5., 6.]])
    """
    slopes = complex_step(function, argument)
    x_axes = np.ndim(argument)
    y_axes = slopes.ndim - x_axes
    if x_axes <= 1 and y_axes <= 1:
        k = slopes.shape[0] if y_axes else 1
        d = slopes.shape[-1] if x_axes else 1
        return slopes.reshape(k, d)
    if x_axes == 2 and y_axes <= 1:
        return slopes.swapaxes(-1, -2)
    if x_axes == 0 and y_axes == 2:
        return slopes
    raise ValueError(
        f"function returned a value of {y_axes} axes for an argument of {x_axes}, but the lecture "
        "has layouts only for a scalar, vector or matrix by a scalar, and for a scalar or vector "
        "by a vector or matrix; use complex_step for others."
    )


def inner_product_derivative(y: npt.ArrayLike) -> Array:
    """Derivative of the scalar y'x with respect to x, for every x.

    Parameters
    ----------
    y : (d,) array

    Returns
    -------
    derivative : (1, d) array
        The lecture's nabla_x(y'x) = nabla_x(x'y) = y'.
    """
    return np.asarray(y)[np.newaxis, :]


def linear_map_derivative(matrix: npt.ArrayLike) -> Array:
    """Derivative of the vector Mx with respect to x, for every x.

    Parameters
    ----------
    matrix : (k, d) array

    Returns
    -------
    derivative : (k, d) array
        The lecture's nabla_x(Mx) = M.
    """
    return np.asarray(matrix)


def quadratic_form_derivative(x: npt.ArrayLike, matrix: npt.ArrayLike) -> Array:
    """Derivative of the scalar x'Ax with respect to x.

    Parameters
    ----------
    x : (d,) array
    matrix : (d, d) array
        A, which need not be symmetric.

    Returns
    -------
    derivative : (1, d) array
        The lecture's nabla_x(x'Ax) = x'(A' + A); for symmetric A this is 2(Ax)'.
    """
    a = np.asarray(matrix)
    derivative: Array = np.asarray(x)[np.newaxis, :] @ (a.T + a)
    return derivative


# ----------------------------------------------------------- Detour: nabla_W L(Wx)


def product_derivative(x: npt.ArrayLike, K: int) -> Array:
    """Derivative of the vector y = Wx with respect to the (K, M) matrix W, for every W.

    Parameters
    ----------
    x : (M,) array
    K : int
        Rows of W.

    Returns
    -------
    derivative : (K, M, K) array
        The lecture's K x (M x K) tensor nabla_W y. Slice k is nabla_W y_k: x in column k, zeros
        elsewhere, as y_k = sum_m W_km x_m knows row k of W alone.
    """
    x = np.asarray(x)
    tensor = np.zeros((K, x.size, K), x.dtype)
    for k in range(K):
        tensor[k, :, k] = x
    return tensor


def row_times_tensor(v: npt.ArrayLike, tensor: npt.ArrayLike) -> Array:
    """Product of a 1-D array and a 3-D tensor, sum_k v_k tensor_k.

    With v = nabla_y L and tensor = nabla_W y it is the lecture's

        nabla_W L = nabla_y L  nabla_W y = x (nabla_y L),    (M x K) = (1 x K) (K x (M x K)).

    Parameters
    ----------
    v : (K,) array
    tensor : (K, M, K) array

    Returns
    -------
    product : (M, K) array
    """
    return np.tensordot(np.asarray(v), np.asarray(tensor), axes=1)


# ----------------------------------------------------------- Note about biases


def bias_derivative(K: int, dtype: npt.DTypeLike = np.float64) -> Array:
    """Derivative of the vector a = Wx + b with respect to b, for every W, x and b.

    Parameters
    ----------
    K : int
        Entries of b.
    dtype : dtype, default=float64

    Returns
    -------
    derivative : (K, K) array
        The identity matrix: the lecture's nabla_{b1} a2(t) = I_K and nabla_{b0} a1(t) = I_M.
    """
    return np.eye(K, dtype=dtype)


def sum_of_deltas(deltas: npt.ArrayLike) -> Array:
    """Derivative of the loss with respect to a bias ("Note about biases").

    A bias reaches the loss through the pre-activations a = ... + b of every place where it is
    added: of each sample in a feed-forward network, of each position in a convolutional one, of
    each step in a recurrent one. By the chain rule over these places

        nabla_b L = sum nabla_a L  nabla_b a = sum nabla_a L I_K = sum nabla_a L.

    Parameters
    ----------
    deltas : (..., K) array
        nabla_a L, a row for each place.

    Returns
    -------
    derivative : (1, K) array

    Raises
    ------
    ValueError
        If `deltas` is a number.

    Examples
    --------
    Here L is any loss of the pre-activations, and b is added once for each of five samples:

    >>> rng = np.random.default_rng(0)
    >>> x, W, b = rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)
    >>> def loss(a):
    ...     return np.sum(np.tanh(a) ** 3)
    >>> deltas = complex_step(loss, x @ W.T + b)
    >>> np.allclose(sum_of_deltas(deltas), derivative(lambda b: loss(x @ W.T + b), b))
    True

    A convolution adds it once for each of four positions, of windows of two samples:

    >>> windows = np.stack([x[:-1], x[1:]], axis=1)  # (positions, width, channels)
    >>> kernel = rng.normal(size=(2, 2, 3))  # (K, width, channels)
    >>> convolved = np.einsum("pwc,kwc->pk", windows, kernel)
    >>> deltas = complex_step(loss, convolved + b)
    >>> np.allclose(sum_of_deltas(deltas), derivative(lambda b: loss(convolved + b), b))
    True

    A recurrent network adds it once for each step:

    >>> from cbptt import reference
    >>> network = {"weight_ih": W, "weight_hh": rng.normal(size=(2, 2)), "bias_h": b,
    ...            "weight_ho": rng.normal(size=(3, 2)), "bias_o": np.zeros(3)}
    >>> inputs, target = x[:, np.newaxis], reference.one_hot([[0], [1], [2], [1], [0]], 3)
    >>> deltas = reference.bptt(network, inputs, target).da1
    >>> def loss_of(b):
    ...     return reference.loss(network | {"bias_h": b}, inputs, target)
    >>> np.allclose(sum_of_deltas(deltas), derivative(loss_of, b))
    True
    """
    deltas = np.asarray(deltas)
    if deltas.ndim == 0:
        raise ValueError("deltas must be a (..., K) array, a row for each place, not a number.")
    rows = deltas.reshape(-1, deltas.shape[-1])
    total: Array = rows.sum(axis=0, keepdims=True)
    return total


# ----------------------------------------------------------- derivatives without the chain rule


def complex_step(
    function: Callable[[Array], Any], argument: npt.ArrayLike, step: float = 1e-30
) -> Array:
    """Exact derivatives of a real function of an array, from complex arithmetic.

    f(x + i s) = f(x) + i s f'(x) + O(s^2), so the imaginary part over s is f'(x): no difference is
    taken, nothing cancels, and s can be so small that s^2 is nothing.

    Parameters
    ----------
    function : callable
        Takes a complex array of the shape of `argument` and returns a scalar or an array. It must
        be analytic and real on real arrays: no absolute value, no conjugate.
    argument : (...) array of real numbers
        Where to take the derivative.
    step : float, default=1e-30
        s.

    Returns
    -------
    derivative : (...) array of float64
        The derivative of each entry of the value with respect to each entry of `argument`: the
        axes of the value, if it has any, and then those of `argument`. Nothing is transposed;
        `derivative` returns the lecture's layout.

    Raises
    ------
    TypeError
        If `function` returns real numbers for a complex array: it drops the imaginary part.

    References
    ----------
    W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions",
    SIAM Review 40 (1998), 110-112.
    """
    x = np.asarray(argument).astype(np.complex128)
    value = np.asarray(function(x.copy()))
    if not np.iscomplexobj(value):
        raise TypeError(
            f"function returned {value.dtype} for a complex array, but must return a complex "
            "number or an array of them; look for a cast to a real type in it."
        )
    derivative = np.empty(value.shape + x.shape)
    for index in np.ndindex(x.shape):
        shifted = x.copy()
        shifted[index] += 1j * step
        derivative[(..., *index)] = np.asarray(function(shifted)).imag / step
    return derivative
