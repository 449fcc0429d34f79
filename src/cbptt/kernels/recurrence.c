/* The recurrent product, with the matrix packed once per batch and the activation at its end.
 *
 * Both recurrences ask, at each step, for C = g(C + A P) with a square matrix P that stays the same
 * over all steps:
 *     forward    h_t  = f(z_t + h_{t-1} W')                P = W',  g = f
 *     backward   da_t = (dh_t + da_{t+1} W) * f'(a_t)      P = W,   g = times f'
 * BLAS would pack P again at every step, and its result would go through memory once more for g.
 *
 * Layout of a packed matrix: panels of 64 bytes of columns (PANEL numbers), and within a panel the
 * rows k one after the other, padded with zero columns:  p[panel][k][PANEL].
 *
 * Order of the loops: chunks of k, so that a panel's part stays in the first-level cache; in a
 * chunk the panels; in a panel the rows of C, in tiles of R rows by P panels that are held in
 * registers. The sum of an element of C runs over k in ascending order, whatever the tile it falls
 * in. */
#include "elementary.h"
#include "set.h"
#include "tile.h"

#define MAX_DEPTH 384 /* of a chunk of k */

/* ---- packing ------------------------------------------------------------------------------ */

ptrdiff_t NAME(packed_size)(ptrdiff_t K, ptrdiff_t M)
{
    return fewest_parts(M, PANEL) * PANEL * K;
}

void NAME(pack)(real *restrict p, const real *restrict w, ptrdiff_t K, ptrdiff_t M, int transpose)
{
    for (ptrdiff_t j = 0; j < M; j += PANEL) {
        const ptrdiff_t width = M - j < PANEL ? M - j : PANEL;
        for (ptrdiff_t k = 0; k < K; k++, p += PANEL) {
            if (width < PANEL) {
                for (ptrdiff_t c = 0; c < PANEL; c++)
                    p[c] = c >= width ? 0 : transpose ? w[(j + c) * K + k] : w[k * M + j + c];
            } else if (transpose) {
                for (ptrdiff_t c = 0; c < PANEL; c++)
                    p[c] = w[(j + c) * K + k];
            } else {
                memcpy(p, w + k * M + j, 64);
            }
        }
    }
}

/* ---- g, on a tile that has just been summed ------------------------------------------------- */

#define FOR_TILE(expression)                                                                       \
    for (ptrdiff_t i = 0; i < rows; i++)                                                           \
        for (ptrdiff_t first = 0; first < columns; first += PANEL) {                               \
            real *c_i = c + i * ldc + first;                                                       \
            const real *h_i = h == NULL ? c_i : h + i * ldh + first;                               \
            (void)h_i;                                                                             \
            for (ptrdiff_t j = 0; j < PANEL; j++)                                                  \
                c_i[j] = expression;                                                               \
        }

/* h_t = f(a_t) where h is NULL; da_t = dL/dh_t * f'(a_t), told from h = f(a_t), elsewhere. */
static void finish(real *c, ptrdiff_t ldc, const real *h, ptrdiff_t ldh, ptrdiff_t rows,
                   ptrdiff_t columns, int f)
{
    if (f == CBPTT_TANH && h == NULL)
        FOR_TILE(hyperbolic_tangent(c_i[j]))
    else if (f == CBPTT_TANH)
        FOR_TILE(tanh_derivative(c_i[j], h_i[j]))
    else if (f == CBPTT_RELU && h == NULL)
        FOR_TILE(relu(c_i[j]))
    else if (f == CBPTT_RELU)
        FOR_TILE(relu_derivative(c_i[j], h_i[j]))
    else if (f == CBPTT_LOGISTIC && h == NULL)
        FOR_TILE(logistic(c_i[j]))
    else if (f == CBPTT_LOGISTIC)
        FOR_TILE(logistic_derivative(c_i[j], h_i[j]))
}

/* ---- one step ------------------------------------------------------------------------------- */

static void copy_tile(real *to, ptrdiff_t ld_to, const real *from, ptrdiff_t ld_from,
                      ptrdiff_t rows, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        memcpy(to + i * ld_to, from + i * ld_from, (size_t)columns * sizeof(real));
}

/* C += A P and, when that is done, C = g(C), as `finish` has it.
 *     c INOUT (n, M);  a IN (n, K);  p IN (K, M) packed;  h IN (n, M) or NULL */
static void add_product(real *restrict c, const real *restrict a, const real *restrict p,
                        const real *restrict h, ptrdiff_t n, ptrdiff_t M, ptrdiff_t K, int f)
{
    const ptrdiff_t n_tiles = fewest_parts(n, most_rows());
    const ptrdiff_t n_panels = fewest_parts(M, PANEL);
    const ptrdiff_t n_groups = fewest_parts(n_panels, most_panels(fewest_parts(n, n_tiles)));
    const ptrdiff_t n_chunks = fewest_parts(K, MAX_DEPTH);

    for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++) {
        const ptrdiff_t k = K * chunk / n_chunks;
        const ptrdiff_t depth = K * (chunk + 1) / n_chunks - k;
        const int g = chunk == n_chunks - 1 ? f : CBPTT_IDENTITY;

        for (ptrdiff_t group = 0; group < n_groups; group++) {
            const ptrdiff_t panel = n_panels * group / n_groups;
            const ptrdiff_t panels = n_panels * (group + 1) / n_groups - panel;
            const ptrdiff_t j = panel * PANEL;
            const ptrdiff_t columns = panels * PANEL;
            const ptrdiff_t width = M - j < columns ? M - j : columns;
            const real *p_part = p + panel * PANEL * K + k * PANEL;

            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                const ptrdiff_t i = n * t / n_tiles;
                const ptrdiff_t rows = n * (t + 1) / n_tiles - i;
                cbptt_tile *const tile = NAME(tiles)[rows - 1][panels - 1];
                const real *a_part = a + i * K + k;
                const real *h_part = h == NULL ? NULL : h + i * M + j;
                real *c_part = c + i * M + j;

                if (width == columns) {
                    tile(c_part, M, a_part, K, 1, p_part, PANEL * K, PANEL, depth);
                    finish(c_part, M, h_part, M, rows, columns, g);
                } else {
                    /* The columns that pad the last panel have no place in C. */
                    real c_wide[REGISTERS * LANES] = {0}, h_wide[REGISTERS * LANES] = {0};
                    copy_tile(c_wide, columns, c_part, M, rows, width);
                    tile(c_wide, columns, a_part, K, 1, p_part, PANEL * K, PANEL, depth);
                    if (h != NULL)
                        copy_tile(h_wide, columns, h_part, M, rows, width);
                    finish(c_wide, columns, h == NULL ? NULL : h_wide, columns, rows, columns, g);
                    copy_tile(c_part, M, c_wide, columns, rows, width);
                }
            }
        }
    }
}

/* h_t = f(W0 x_t + b0 + W11 h_{t-1}); without p0, a holds W0 x_t + b0 already
 *     a INOUT (n, M);  h IN (n, M);  x IN (n, D);  b IN (M,);  p IN W11';  p0 IN W0' or NULL */
void NAME(forward_step)(real *restrict a, const real *restrict h, const real *restrict x,
                        const real *restrict b, const real *restrict p, const real *restrict p0,
                        ptrdiff_t n, ptrdiff_t M, ptrdiff_t D, int f)
{
    if (p0 != NULL) {
        for (ptrdiff_t i = 0; i < n; i++)
            memcpy(a + i * M, b, (size_t)M * sizeof(real));
        add_product(a, x, p0, NULL, n, M, D, CBPTT_IDENTITY);
    }
    add_product(a, h, p, NULL, n, M, M, f);
}

/* da_t = (dL/dh_t + da_{t+1} W11) * f'(a_t)
 *     d INOUT (n, M);  e IN (n, M) da_{t+1};  h IN (n, M) h_t;  p IN W11 packed */
void NAME(backward_step)(real *restrict d, const real *restrict e, const real *restrict h,
                         const real *restrict p, ptrdiff_t n, ptrdiff_t M, int f)
{
    add_product(d, e, p, h, n, M, M, f);
}
