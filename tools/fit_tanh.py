"""Fit the coefficients of the kernels' tanh, logistic and exp, and print them as C literals.

All rest on rational or polynomial interpolation at Chebyshev nodes, which is within a small factor
of the best uniform approximation; mpmath carries 60 digits throughout.
"""

from collections.abc import Callable

from mpmath import cos, exp, hyp1f1, log, lu_solve, matrix, mp, mpf, pi, sqrt, tanh

mp.dps = 60


def fit_tanh(n_p: int, n_q: int, y_max: mpf) -> list[mpf]:
    """tanh(y) = y (1 + p1 z + ...) / (1 + q1 z + ...),  z = y^2;  returns p1.., q1..

    The relative error vanishes at z = 0; the other nodes are those roots of the Chebyshev
    polynomial that remain when its first root is moved to 0.
    """
    n = n_p + n_q
    roots = [-cos(pi * (2 * i + 1) / (2 * n + 2)) for i in range(n + 1)]
    nodes = [y_max**2 * (root - roots[0]) / (1 - roots[0]) for root in roots[1:]]
    system, right = matrix(n, n), matrix(n, 1)
    for i, z in enumerate(nodes):
        f = tanh(sqrt(z)) / sqrt(z)
        for j in range(n_p):
            system[i, j] = z ** (j + 1)
        for j in range(n_q):
            system[i, n_p + j] = -f * z ** (j + 1)
        right[i] = f - 1
    return list(lu_solve(system, right))


def fit_expm1(degree: int, r_max: mpf) -> list[mpf]:
    """e^r - 1 = r + r^2 (c0 + c1 r + ...),  |r| <= r_max;  returns c0.. up to r^degree"""
    n = degree - 1
    nodes = [r_max * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    system = matrix(n, n)
    for i, r in enumerate(nodes):
        for j in range(n):
            system[i, j] = r**j
    return list(lu_solve(system, matrix([hyp1f1(1, 3, r) / 2 for r in nodes])))


def rounded(value: mpf, bits: int) -> mpf:
    """The nearest number with a mantissa of so many bits."""
    with mp.workprec(bits):
        return +value


def literal(value: mpf, bits: int) -> str:
    return float(value).hex() + ("f" if bits == 24 else "")


def worst(error: Callable[[mpf], mpf], low: mpf, high: mpf, n: int = 2000) -> mpf:
    return max(abs(error(low + (high - low) * (i + 1) / (n + 1))) for i in range(n))


def polynomial(coefficients: list[mpf], x: mpf) -> mpf:
    return sum((c * x**i for i, c in enumerate(coefficients)), mpf(0))


def main() -> None:
    half = log(2) / 2 * mpf("1.0001")  # n is rounded from a rounded product
    for bits, n_p, n_q, degree in ((24, 1, 1, 6), (53, 2, 2, 11)):
        print(f"float{32 if bits == 24 else 64}")

        fitted = [rounded(c, bits) for c in fit_tanh(n_p, n_q, half / 2)]
        p, q = [mpf(1), *fitted[:n_p]], [mpf(1), *fitted[n_p:]]

        def error_tanh(y: mpf, p: list[mpf] = p, q: list[mpf] = q) -> mpf:
            return y * polynomial(p, y * y) / polynomial(q, y * y) / tanh(y) - 1

        for name, coefficients in (("P", p), ("Q", q)):
            for i, c in enumerate(coefficients[1:], 1):
                print(f"    tanh {name}{i} {literal(c, bits)}")
        print(f"    relative error 2^{float(log(worst(error_tanh, mpf(0), half / 2), 2)):.1f}")

        e = [rounded(c, bits) for c in fit_expm1(degree, half)]

        def error_exp(r: mpf, e: list[mpf] = e) -> mpf:
            return (1 + r + r * r * polynomial(e, r)) / exp(r) - 1

        for i, c in enumerate(e, 2):
            print(f"    exp  C{i} {literal(c, bits)}")
        print(f"    relative error 2^{float(log(worst(error_exp, -half, half), 2)):.1f}")

        high = rounded(log(2) / 2, 15 if bits == 24 else 36)
        low = rounded(log(2) / 2 - high, bits)
        print(f"    ln2 / 2 = {literal(high, bits)} + {literal(low, bits)}")
        print(f"    2 / ln2 = {literal(rounded(2 / log(2), bits), bits)}")


if __name__ == "__main__":
    main()
