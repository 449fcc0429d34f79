/* Elementwise functions and their derivatives, as loops that the compiler vectorises.
 *
 * Compiled once per instruction set (CBPTT_ISA) and precision (CBPTT_BITS = 32 or 64).
 *
 * Everything rests on expm1 for x <= 0, so that nothing overflows and nothing cancels:
 *     x = n ln2 + r,  |r| <= ln2 / 2        (Cody & Waite, Software Manual for the Elementary
 *     e^x - 1 = 2^n (e^r - 1) + (2^n - 1)    Functions, 1980, chapter 6)
 * with e^r - 1 by its Taylor series, long enough for the truncation to stay below half a ULP. */
#include "kernels.h"

#include <stdint.h>
#include <string.h>

#define JOIN3_(a, b, c) a##_##b##_f##c
#define JOIN3(a, b, c)  JOIN3_(a, b, c)
#define NAME(stem)      JOIN3(cbptt_##stem, CBPTT_ISA, CBPTT_BITS)

#if CBPTT_BITS == 32
typedef float real;
typedef uint32_t bits;
typedef cbptt_table_f32 table;
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define ROUNDER       0x1.8p23f /* adding it rounds to an integer, kept in the low bits */
#define LOG2_E        0x1.715476p+0f
#define LN2_HIGH      0x1.62e4p-1f /* 15 bits: n * LN2_HIGH is exact */
#define LN2_LOW       0x1.7f7d1cp-20f
#define LOWEST        (-104.0f) /* e^x rounds to 0 below */
#define LOWEST_EXPM1  (-20.0f)  /* e^x - 1 rounds to -1 below */
#define HIGHEST       89.0f     /* e^x rounds to infinity above */
#else
typedef double real;
typedef uint64_t bits;
typedef cbptt_table_f64 table;
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define ROUNDER       0x1.8p52
#define LOG2_E        0x1.71547652b82fep+0
#define LN2_HIGH      0x1.62e42fefap-1 /* 36 bits: n * LN2_HIGH is exact */
#define LN2_LOW       0x1.cf79abc9e3b3ap-40
#define LOWEST        (-746.0)
#define LOWEST_EXPM1  (-40.0)
#define HIGHEST       710.0
#endif

static inline real absolute(real x)
{
    return x < 0 ? -x : x;
}

/* |magnitude| with the sign of `sign`, -0 included. */
static inline real with_sign(real magnitude, real sign)
{
    const bits sign_bit = (bits)1 << (CBPTT_BITS - 1);
    bits m, s;
    memcpy(&m, &magnitude, sizeof m);
    memcpy(&s, &sign, sizeof s);
    m = (m & ~sign_bit) | (s & sign_bit);
    memcpy(&magnitude, &m, sizeof m);
    return magnitude;
}

/* 2^n for an integer n in the normal range, given as n + ROUNDER. */
static inline real power_of_two(real n_plus_rounder)
{
    bits b;
    memcpy(&b, &n_plus_rounder, sizeof b);
    b = (b << MANTISSA_BITS) + ((bits)EXPONENT_BIAS << MANTISSA_BITS);
    real p;
    memcpy(&p, &b, sizeof p);
    return p;
}

/* x = n ln2 + r. Returns r; *n_plus_rounder = n + ROUNDER. A NaN stays a NaN in r. */
static inline real reduce(real x, real *n_plus_rounder)
{
    const real shifted = x * LOG2_E + ROUNDER;
    const real n = shifted - ROUNDER;
    *n_plus_rounder = shifted;
    return (x - n * LN2_HIGH) - n * LN2_LOW;
}

/* e^r - 1 for |r| <= ln2 / 2:  r + r^2 (1/2! + r (1/3! + ...)) */
static inline real expm1_reduced(real r)
{
#if CBPTT_BITS == 32
    real p = (real)(1.0 / 5040);
#else
    real p = (real)(1.0 / 87178291200.0);
    p = p * r + (real)(1.0 / 6227020800.0);
    p = p * r + (real)(1.0 / 479001600);
    p = p * r + (real)(1.0 / 39916800);
    p = p * r + (real)(1.0 / 3628800);
    p = p * r + (real)(1.0 / 362880);
    p = p * r + (real)(1.0 / 40320);
    p = p * r + (real)(1.0 / 5040);
#endif
    p = p * r + (real)(1.0 / 720);
    p = p * r + (real)(1.0 / 120);
    p = p * r + (real)(1.0 / 24);
    p = p * r + (real)(1.0 / 6);
    p = p * r + (real)(1.0 / 2);
    return r + (r * r) * p;
}

/* e^x - 1 for x <= 0 */
static inline real expm1_nonpositive(real x)
{
    real shifted;
    x = x < LOWEST_EXPM1 ? LOWEST_EXPM1 : x;
    const real r = reduce(x, &shifted);
    const real scale = power_of_two(shifted);
    return scale * expm1_reduced(r) + (scale - 1);
}

/* e^x. The power of two is applied in halves, so that subnormal results are rounded once. */
static inline real exponential(real x)
{
    real shifted;
    x = x < LOWEST ? LOWEST : x;
    x = x > HIGHEST ? HIGHEST : x;
    const real r = reduce(x, &shifted);
    const real n = shifted - ROUNDER;
    const real half = n * (real)0.5 + ROUNDER;
    const real rest = (n - (half - ROUNDER)) + ROUNDER;
    const real mantissa = 1 + expm1_reduced(r);
    return (mantissa * power_of_two(half)) * power_of_two(rest);
}

/* ---- forward: h = f(a), in place --------------------------------------------------------- */

static void NAME(identity)(real *x, ptrdiff_t n)
{
    (void)x;
    (void)n;
}

/* 1 / (1 + e^-a):  with e = e^-|a| <= 1,  1 / (1 + e) for a >= 0 and e / (1 + e) below */
static void NAME(logistic)(real *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const real e = exponential(-absolute(x[i]));
        x[i] = (x[i] < 0 ? e : 1) / (1 + e);
    }
}

/* tanh |a| = -e / (2 + e)  with  e = e^(-2|a|) - 1 */
static void NAME(tanh)(real *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const real e = expm1_nonpositive(-2 * absolute(x[i]));
        x[i] = with_sign(-e / (2 + e), x[i]);
    }
}

/* max(a, 0); a NaN stays a NaN */
static void NAME(relu)(real *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = x[i] < 0 ? 0 : x[i];
}

static void NAME(exponential)(real *restrict x, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = exponential(x[i]);
}

/* ---- backward: d = d * f'(a), told from h = f(a) ------------------------------------------ */

static void NAME(identity_derivative)(real *d, const real *h, ptrdiff_t n)
{
    (void)d;
    (void)h;
    (void)n;
}

/* f' = h (1 - h) */
static void NAME(logistic_derivative)(real *restrict d, const real *restrict h, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        d[i] *= h[i] * (1 - h[i]);
}

/* f' = 1 - h^2 = (1 - h)(1 + h): the product keeps its digits where h is near 1 */
static void NAME(tanh_derivative)(real *restrict d, const real *restrict h, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        d[i] *= (1 - h[i]) * (1 + h[i]);
}

/* f' = [h > 0] */
static void NAME(relu_derivative)(real *restrict d, const real *restrict h, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        d[i] = h[i] > 0 ? d[i] : 0;
}

const table NAME(table) = {
    .activate =
        {
            [CBPTT_IDENTITY] = NAME(identity),
            [CBPTT_LOGISTIC] = NAME(logistic),
            [CBPTT_TANH] = NAME(tanh),
            [CBPTT_RELU] = NAME(relu),
        },
    .derivative =
        {
            [CBPTT_IDENTITY] = NAME(identity_derivative),
            [CBPTT_LOGISTIC] = NAME(logistic_derivative),
            [CBPTT_TANH] = NAME(tanh_derivative),
            [CBPTT_RELU] = NAME(relu_derivative),
        },
    .exponential = NAME(exponential),
};
