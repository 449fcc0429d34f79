/* Elementary functions of one number, written so that loops over them are vectorised.
 *
 * Everything rests on expm1 for x <= 0, so that nothing overflows and nothing cancels:
 *     x = n ln2 + r,  |r| <= ln2 / 2        (Cody & Waite, Software Manual for the Elementary
 *     e^x - 1 = 2^n (e^r - 1) + (2^n - 1)    Functions, 1980, chapter 6)
 * with e^r - 1 by its Taylor series, long enough for the truncation to stay below half a ULP. */
#ifndef CBPTT_ELEMENTARY_H
#define CBPTT_ELEMENTARY_H

#include "real.h"

#include <stdint.h>
#include <string.h>

#if CBPTT_BITS == 32
typedef uint32_t bits;
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
typedef uint64_t bits;
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

/* ---- forward: h = f(a) ------------------------------------------------------------------- */

/* 1 / (1 + e^-a):  with e = e^-|a| <= 1,  1 / (1 + e) for a >= 0 and e / (1 + e) below */
static inline real logistic(real a)
{
    const real e = exponential(-absolute(a));
    return (a < 0 ? e : 1) / (1 + e);
}

/* tanh |a| = -e / (2 + e)  with  e = e^(-2|a|) - 1 */
static inline real hyperbolic_tangent(real a)
{
    const real e = expm1_nonpositive(-2 * absolute(a));
    return with_sign(-e / (2 + e), a);
}

/* max(a, 0); a NaN stays a NaN */
static inline real relu(real a)
{
    return a < 0 ? 0 : a;
}

/* ---- backward: dL/da = dL/dh f'(a), told from h = f(a) ------------------------------------ */

/* f' = h (1 - h) */
static inline real logistic_derivative(real d, real h)
{
    return d * (h * (1 - h));
}

/* f' = 1 - h^2 = (1 - h)(1 + h): the product keeps its digits where h is near 1 */
static inline real tanh_derivative(real d, real h)
{
    return d * ((1 - h) * (1 + h));
}

/* f' = [h > 0] */
static inline real relu_derivative(real d, real h)
{
    return h > 0 ? d : 0;
}

#endif
