/* Elementary functions of one number, written so that loops over them are vectorised.
 *
 * tanh and logistic, with one division each, nothing that overflows and nothing that cancels:
 *     x = n ln2 / 2 + y,  |y| <= ln2 / 4,  s = 2^n          (reduction in two parts: Cody & Waite,
 *     tanh y = y (1 + P1 z + ..) / (1 + Q1 z + ..) = p / q    Software Manual for the Elementary
 *     e^(2y) = (q + p) / (q - p),  z = y^2                    Functions, 1980, chapter 6)
 *     tanh x      = ((s - 1) q + (s + 1) p) / ((s + 1) q + (s - 1) p)
 *     logistic 2x = s (q + p) / (s (q + p) + (q - p))
 * exp x = 2^n e^r with r = x - n ln2 and a polynomial in r. tools/fit_tanh.py computes the
 * coefficients. */
#ifndef CBPTT_ELEMENTARY_H
#define CBPTT_ELEMENTARY_H

#include "real.h"

#include <stdint.h>
#include <string.h>

#if CBPTT_BITS == 32
typedef uint32_t bits;
#define MANTISSA_BITS  23
#define EXPONENT_BIAS  127
#define ROUNDER        0x1.8p23f /* adding it rounds to an integer, kept in the low bits */
#define LOG2_E         0x1.715476p+0f
#define LN2_HIGH       0x1.62e4p-1f /* 15 bits: n * LN2_HIGH is exact */
#define LN2_LOW        0x1.7f7d1cp-20f
#define TANH_P(z)      0x1.10bd9ep-4f
#define TANH_Q(z)      0x1.9984acp-2f
#define LOGISTIC_SHIFT 30 /* keeps s (q + p) a normal number: the division rounds once */
#else
typedef uint64_t bits;
#define MANTISSA_BITS  52
#define EXPONENT_BIAS  1023
#define ROUNDER        0x1.8p52
#define LOG2_E         0x1.71547652b82fep+0
#define LN2_HIGH       0x1.62e42fefap-1 /* 36 bits: n * LN2_HIGH is exact */
#define LN2_LOW        0x1.cf79abc9e3b3ap-40
#define TANH_P(z)      (0x1.c710224334617p-4 + (z) * 0x1.15322efa24646p-10)
#define TANH_Q(z)      (0x1.c7195de622673p-2 + (z) * 0x1.03fc8f32ff82ep-6)
#define LOGISTIC_SHIFT 60
#endif

/* Where the functions are constant in this precision. Defined in set.c: with the constants in sight
 * gcc carries them through the formulas and selects at the end, which costs a fifth. */
typedef struct {
    real tanh_lowest, tanh_highest;         /* -1 and 1 outside */
    real logistic_lowest, logistic_highest; /* 0 and 1 outside */
    real exp_lowest, exp_highest;           /* 0 and infinity outside */
} limits;
extern const limits NAME(limits);

/* A NaN stays a NaN. */
static inline real clamp(real x, real lowest, real highest)
{
    x = x < lowest ? lowest : x;
    return x > highest ? highest : x;
}

/* x = n ln2 / scale + y for scale 1 or 2. Returns y; *n_plus_rounder = n + ROUNDER. */
static inline real reduce(real x, real scale, real *n_plus_rounder)
{
    const real shifted = x * (scale * LOG2_E) + ROUNDER;
    const real n = shifted - ROUNDER;
    *n_plus_rounder = shifted;
    return (x - n * (LN2_HIGH / scale)) - n * (LN2_LOW / scale);
}

/* 2^(n + shift), a normal number, given n + ROUNDER. */
static inline real power_of_two(real n_plus_rounder, int shift)
{
    bits b;
    memcpy(&b, &n_plus_rounder, sizeof b);
    b = (b << MANTISSA_BITS) + ((bits)(EXPONENT_BIAS + shift) << MANTISSA_BITS);
    real p;
    memcpy(&p, &b, sizeof p);
    return p;
}

/* e^r - 1 for |r| <= ln2 / 2, by Estrin's scheme */
static inline real expm1_reduced(real r)
{
    const real r2 = r * r;
#if CBPTT_BITS == 32
    const real c01 = 0x1p-1f + r * 0x1.5554dcp-3f;
    const real c23 = 0x1.55551ap-5f + r * 0x1.120b6ep-7f;
    return r + r2 * (c01 + r2 * (c23 + r2 * 0x1.6d110ap-10f));
#else
    const real r4 = r2 * r2;
    const real c01 = 0x1.0000000000001p-1 + r * 0x1.5555555555556p-3;
    const real c23 = 0x1.5555555553d63p-5 + r * 0x1.11111111109b3p-7;
    const real c45 = 0x1.6c16c1788bd90p-10 + r * 0x1.a01a01a7c41d5p-13;
    const real c67 = 0x1.a019b90d2ae7ap-16 + r * 0x1.71de0dae63bb3p-19;
    const real c89 = 0x1.289185613a3d6p-22 + r * 0x1.af38a9b0ec855p-26;
    return r + r2 * ((c01 + r2 * c23) + r4 * ((c45 + r2 * c67) + r4 * c89));
#endif
}

/* The power of two is applied in halves, so that subnormal results are rounded once. */
static inline real exponential(real x)
{
    real shifted;
    const real r = reduce(clamp(x, NAME(limits).exp_lowest, NAME(limits).exp_highest), 1, &shifted);
    const real n = shifted - ROUNDER;
    const real half = n * (real)0.5 + ROUNDER;
    const real rest = (n - (half - ROUNDER)) + ROUNDER;
    return ((1 + expm1_reduced(r)) * power_of_two(half, 0)) * power_of_two(rest, 0);
}

/* ---- forward: h = f(a) ------------------------------------------------------------------- */

static inline real logistic(real a)
{
    real shifted;
    a = clamp(a, NAME(limits).logistic_lowest, NAME(limits).logistic_highest);
    const real y = reduce((real)0.5 * a, 2, &shifted);
    const real s = power_of_two(shifted, LOGISTIC_SHIFT);
    const real z = y * y;
    const real p = y + (y * z) * TANH_P(z);
    const real q = 1 + z * TANH_Q(z);
    const real e = s * (q + p);
    return e / (e + (q - p) * (real)((bits)1 << LOGISTIC_SHIFT));
}

static inline real hyperbolic_tangent(real a)
{
    real shifted;
    a = clamp(a, NAME(limits).tanh_lowest, NAME(limits).tanh_highest);
    const real y = reduce(a, 2, &shifted);
    const real s = power_of_two(shifted, 0);
    const real z = y * y;
    const real p = y + (y * z) * TANH_P(z);
    const real h = z * TANH_Q(z); /* q - 1: q in two parts is one rounding fewer */
    /* 1 - s and not s - 1: so -0 keeps its sign. */
    const real plus = s + 1, minus = 1 - s;
    return ((plus * p - minus * h) - minus) / (plus + (plus * h - minus * p));
}

/* max(a, 0); a NaN stays a NaN */
static inline real relu(real a)
{
    return a < 0 ? 0 : a;
}

/* ---- backward: dL/da = dL/dh f'(a), given h = f(a) --------------------------------------- */

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
