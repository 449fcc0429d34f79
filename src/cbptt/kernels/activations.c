/* Elementwise functions and their derivatives over blocks of memory.
 *
 * Compiled once per instruction set (CBPTT_ISA) and precision (CBPTT_BITS). */
#include "set.h"
#include "elementary.h"

/* ---- forward: h = f(a), in place --------------------------------------------------------- */

void NAME(activate)(real *restrict x, ptrdiff_t n, int f)
{
    switch (f) {
    case CBPTT_LOGISTIC:
        for (ptrdiff_t i = 0; i < n; i++)
            x[i] = logistic(x[i]);
        break;
    case CBPTT_TANH:
        for (ptrdiff_t i = 0; i < n; i++)
            x[i] = hyperbolic_tangent(x[i]);
        break;
    case CBPTT_RELU:
        for (ptrdiff_t i = 0; i < n; i++)
            x[i] = relu(x[i]);
        break;
    default: /* CBPTT_IDENTITY */
        break;
    }
}

void NAME(exponential)(real *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = exponential(x[i]);
}

/* ---- backward: d = d * f'(a), given h = f(a) --------------------------------------------- */

void NAME(derivative)(real *restrict d, const real *restrict h, ptrdiff_t n, int f)
{
    switch (f) {
    case CBPTT_LOGISTIC:
        for (ptrdiff_t i = 0; i < n; i++)
            d[i] = logistic_derivative(d[i], h[i]);
        break;
    case CBPTT_TANH:
        for (ptrdiff_t i = 0; i < n; i++)
            d[i] = tanh_derivative(d[i], h[i]);
        break;
    case CBPTT_RELU:
        for (ptrdiff_t i = 0; i < n; i++)
            d[i] = relu_derivative(d[i], h[i]);
        break;
    default: /* CBPTT_IDENTITY */
        break;
    }
}
