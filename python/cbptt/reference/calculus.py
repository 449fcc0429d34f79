"""The lecture's background, "Matrix and Vector Calculus", and its detour, "nabla_W L(Wx)"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Scalar: TypeAlias = Any  # a NumPy scalar: real, or complex under the complex step


# ----------------------------------------------------------- Background: Matrix and Vector Calculus


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


# ----------------------------------------------------------- derivatives without the chain rule


def complex_step(
    function: Callable[[Array], Scalar], argument: npt.ArrayLike, step: float = 1e-30
) -> Array:
    """Exact derivative of a real function of an array, from complex arithmetic.

    f(x + i s) = f(x) + i s f'(x) + O(s^2), so the imaginary part over s is f'(x): no difference is
    taken, nothing cancels, and s can be so small that s^2 is nothing.

    Parameters
    ----------
    function : callable
        Takes a complex array of the shape of `argument` and returns a scalar. It must be analytic
        and real on real arrays: no absolute value, no conjugate.
    argument : (...) array of real numbers
        Where to take the derivative.
    step : float, default=1e-30
        s.

    Returns
    -------
    derivative : (...) array
        Derivative with respect to each entry, in the shape of `argument`.

    Raises
    ------
    TypeError
        If `function` returns a real number for a complex array: it drops the imaginary part.

    References
    ----------
    W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions",
    SIAM Review 40 (1998), 110-112.
    """
    argument = np.asarray(argument)
    derivative = np.empty(argument.shape)
    for index in np.ndindex(argument.shape):
        shifted = argument.astype(np.complex128)
        shifted[index] += 1j * step
        value = function(shifted)
        if not np.iscomplexobj(value):
            raise TypeError(
                f"function returned {value!r} for a complex array, but must return a complex "
                "number; look for a cast to a real type in it."
            )
        derivative[index] = value.imag / step
    return derivative
