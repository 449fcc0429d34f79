/* The table of plain C kernels. One source is compiled per instruction set and precision;
 * cbptt_choose picks the set once, when the module that owns the table is imported. */
#ifndef CBPTT_KERNELS_H
#define CBPTT_KERNELS_H

#include <stddef.h>

/* Codes of the elementwise functions: indices into the tables below. */
enum { CBPTT_IDENTITY, CBPTT_LOGISTIC, CBPTT_TANH, CBPTT_RELU, CBPTT_N_ACTIVATIONS };

/* For `real` in (float, double):
 *   activate[f](x, n)        x := f(x)                           x INOUT (n,)
 *   derivative[f](d, h, n)   d := d * f'(a), told from h = f(a)  d INOUT (n,), h IN (n,)
 *   exponential(x, n)        x := exp(x)                         x INOUT (n,)
 * The arrays do not overlap. Nothing is allocated, nothing fails. */
#define CBPTT_TABLE(real)                                                                          \
    struct {                                                                                       \
        void (*activate[CBPTT_N_ACTIVATIONS])(real * x, ptrdiff_t n);                              \
        void (*derivative[CBPTT_N_ACTIVATIONS])(real * d, const real *h, ptrdiff_t n);             \
        void (*exponential)(real * x, ptrdiff_t n);                                                \
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
