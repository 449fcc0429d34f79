/* The table of plain C kernels. One source is compiled per instruction set and precision;
 * cbptt_choose picks the set once, when the module that owns the table is imported.
 *
 * Kernels allocate nothing, print nothing and cannot fail. Arrays are row-major and contiguous, and
 * arrays of one call do not overlap. For `real` in (float, double):
 *
 *   activate(x, n, f)              x := f(x)                             x INOUT (n,)
 *   derivative(d, h, n, f)         d := d * f'(a), told from h = f(a)    d INOUT (n,), h IN (n,)
 *   exponential(x, n)              x := exp(x)                           x INOUT (n,)
 *
 *   packed_size(K, M)              numbers that a packed (K, M) matrix takes
 *   pack(p, w, K, M, transpose)    p := W (K, M), or W' where transpose and W is (M, K)
 *   forward_step(a, h, x, b, p, p0, n, M, D, f)
 *       a := f(x W0' + b + h W11') p, p0: W11', W0' packed               a OUT, h IN (n, M), x IN
 *       a := f(a + h W11')         where p0 is NULL                      a INOUT
 *   backward_step(d, e, h, p, n, M, f)
 *       d := (d + e W11) * f'(a)   p: W11 packed, h = f(a)               d INOUT, e, h IN (n, M)
 *
 *   derivatives_scratch(M, D)      numbers of scratch that derivatives takes
 *   derivatives(dhh, dih, db, s, da, h, x, N, M, D)
 *       [dhh, dih, db] := da' [h, x, 1]    dhh OUT (M, M), dih OUT (M, D), db OUT (M,), s scratch,
 *                                          da, h IN (N, M), x IN (N, D)
 */
#ifndef CBPTT_KERNELS_H
#define CBPTT_KERNELS_H

#include <stddef.h>

/* Codes of the elementwise functions f. */
enum { CBPTT_IDENTITY, CBPTT_LOGISTIC, CBPTT_TANH, CBPTT_RELU };

#define CBPTT_TABLE(real)                                                                          \
    struct {                                                                                       \
        void (*activate)(real * x, ptrdiff_t n, int f);                                            \
        void (*derivative)(real * d, const real *h, ptrdiff_t n, int f);                           \
        void (*exponential)(real * x, ptrdiff_t n);                                                \
        ptrdiff_t (*packed_size)(ptrdiff_t K, ptrdiff_t M);                                        \
        void (*pack)(real * p, const real *w, ptrdiff_t K, ptrdiff_t M, int transpose);            \
        void (*forward_step)(real * a, const real *h, const real *x, const real *b, const real *p, \
                             const real *p0, ptrdiff_t n, ptrdiff_t M, ptrdiff_t D, int f);        \
        void (*backward_step)(real * d, const real *e, const real *h, const real *p, ptrdiff_t n,  \
                              ptrdiff_t M, int f);                                                 \
        ptrdiff_t (*derivatives_scratch)(ptrdiff_t M, ptrdiff_t D);                                \
        void (*derivatives)(real * dhh, real *dih, real *db, real *s, const real *da,              \
                            const real *h, const real *x, ptrdiff_t N, ptrdiff_t M, ptrdiff_t D);  \
    }

typedef CBPTT_TABLE(float) cbptt_table_f32;
typedef CBPTT_TABLE(double) cbptt_table_f64;

typedef struct {
    const char *isa;
    const cbptt_table_f32 *f32;
    const cbptt_table_f64 *f64;
} cbptt_kernels;

/* The widest set that this processor runs, or the named one; NULL where the name is unknown or
 * the processor lacks it. */
const cbptt_kernels *cbptt_choose(const char *isa);

#endif
