/* The products of a step, with the matrices packed once per batch and the activation at their end.
 *
 * Both recurrences ask, at each step, for C = g(S + A0 P0 + A1 P1) with matrices P that stay the
 * same over all steps:
 *     forward    h_t  = f(b0 + x_t W0' + h_{t-1} W11')        P = W0', W11',  g = f
 *     backward   da_t = (dz_t W1 + da_{t+1} W11) * f'(a_t)    P = W1,  W11,   g = times f'
 * BLAS would pack P again at every step, and its result would go through memory once more for g.
 *
 * Layout of a packed matrix: panels of 64 bytes of columns (PANEL numbers), and within a panel the
 * rows k one after the other, padded with zero columns:  p[panel][k][PANEL]. The rows of C, S and h
 * are padded to whole panels as well, so that no tile has an edge.
 *
 * Order of the loops: chunks of k, so that a panel's part stays in the first-level cache; in a
 * chunk the panels; in a panel the rows of C, in tiles of R rows by P panels that are held in
 * registers. */
#include "elementary.h"
#include "set.h"
#include "tile.h"

#define MAX_DEPTH 384 /* of a chunk of k */

/* ---- packing ------------------------------------------------------------------------------ */

/* A square of 4 x 4 numbers is turned within registers, where the compiler has a name for it. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define TURN
typedef real four __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));
#endif
#endif

/* p[k][c] = w[c][k] for c < PANEL, rows of w K apart, for k from the first on; return the next k */
static ptrdiff_t turn_panel(real *restrict p, const real *restrict w, ptrdiff_t K)
{
    ptrdiff_t k = 0;
#ifdef TURN
    for (; k + 4 <= K; k += 4)
        for (ptrdiff_t c = 0; c < PANEL; c += 4) {
            const real *w_c = w + c * K + k;
            const four a = *(const four *)w_c, b = *(const four *)(w_c + K);
            const four d = *(const four *)(w_c + 2 * K), e = *(const four *)(w_c + 3 * K);
            const four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
            const four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
            const four de_low = __builtin_shufflevector(d, e, 0, 4, 1, 5);
            const four de_high = __builtin_shufflevector(d, e, 2, 6, 3, 7);
            real *p_k = p + k * PANEL + c;
            *(four *)p_k = __builtin_shufflevector(ab_low, de_low, 0, 1, 4, 5);
            *(four *)(p_k + PANEL) = __builtin_shufflevector(ab_low, de_low, 2, 3, 6, 7);
            *(four *)(p_k + 2 * PANEL) = __builtin_shufflevector(ab_high, de_high, 0, 1, 4, 5);
            *(four *)(p_k + 3 * PANEL) = __builtin_shufflevector(ab_high, de_high, 2, 3, 6, 7);
        }
#else
    (void)p, (void)w, (void)K;
#endif
    return k;
}

/* Every stride-th panel of p, so that several matrices may be packed in turns. */
void NAME(pack)(real *restrict p, const real *restrict w, ptrdiff_t K, ptrdiff_t M, int transpose,
                ptrdiff_t stride)
{
    for (ptrdiff_t j = 0; j < M; j += PANEL, p += K * PANEL * stride) {
        const ptrdiff_t width = M - j < PANEL ? M - j : PANEL;
        const real *w_j = transpose ? w + j * K : w + j;
        ptrdiff_t k = transpose && width == PANEL ? turn_panel(p, w_j, K) : 0;
        for (; k < K; k++) {
            real *p_k = p + k * PANEL;
            if (!transpose && width == PANEL) {
                memcpy(p_k, w_j + k * M, 64);
            } else {
                memset(p_k, 0, 64);
                for (ptrdiff_t c = 0; c < width; c++)
                    p_k[c] = transpose ? w_j[c * K + k] : w_j[k * M + c];
            }
        }
    }
}

/* ---- g, on a tile that has just been summed ------------------------------------------------- */

/* Unrolled before the compiler looks for vectors, a line of constant length would become scalar
 * code: hence the first pragma. The second: what is written is not what is read. */
#define FOR_LINE _Pragma("GCC unroll 1") _Pragma("GCC ivdep") for (ptrdiff_t j = 0; j < PANEL; j++)
#define FOR_TILE(expression)                                                                       \
    for (ptrdiff_t i = 0; i < rows; i++)                                                           \
        for (ptrdiff_t first = 0; first < columns; first += PANEL) {                               \
            real *c_i = c + i * ld + first;                                                        \
            const real *h_i = h == NULL ? c_i : h + i * ld + first;                                \
            (void)h_i;                                                                             \
            FOR_LINE c_i[j] = expression;                                                          \
        }

/* h_t = f(a_t) where h is NULL; da_t = dL/dh_t * f'(a_t), given h = f(a_t), elsewhere. */
static void finish(real *c, const real *h, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t columns, int f)
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

/* Prefetch, at the beginning of a tile, what its end reads or writes. */
static void prefetch_tile(const real *c, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j += PANEL)
            __builtin_prefetch(c + i * ld + j);
}

/* C = g(S + A0 P0 + A1 P1), as `finish` has it
 *     c OUT (n, M);  s IN (n, M) rows lds apart (0: one row for all), may be c, or NULL: zeros
 *     a0 IN (n, K0) rows lda0 apart;  p0 IN (K0, M) packed;  a1, p1 the same; K 0: no product
 *     h IN (n, M) or NULL.  The rows of c and h are M numbers, padded, apart. */
void NAME(step)(real *c, const real *s, ptrdiff_t lds, const real *a0, ptrdiff_t lda0,
                const real *p0, ptrdiff_t K0, const real *a1, ptrdiff_t lda1, const real *p1,
                ptrdiff_t K1, const real *h, ptrdiff_t n, ptrdiff_t M, int f)
{
    const ptrdiff_t n_panels = fewest_parts(M, PANEL);
    const ptrdiff_t ld = n_panels * PANEL;
    const ptrdiff_t n_tiles = fewest_parts(n, most_rows(n_panels));
    const ptrdiff_t n_groups = fewest_parts(n_panels, most_panels(fewest_parts(n, n_tiles)));
    const ptrdiff_t n_chunks = K1 > MAX_DEPTH ? fewest_parts(K1, MAX_DEPTH) : 1;

    for (ptrdiff_t chunk = 0; chunk < n_chunks; chunk++) {
        const ptrdiff_t k = K1 * chunk / n_chunks;
        const ptrdiff_t depth = K1 * (chunk + 1) / n_chunks - k;
        if (chunk > 0) {
            s = c;
            lds = ld;
        }

        for (ptrdiff_t group = 0; group < n_groups; group++) {
            const ptrdiff_t panel = n_panels * group / n_groups;
            const ptrdiff_t panels = n_panels * (group + 1) / n_groups - panel;
            const ptrdiff_t j = panel * PANEL;

            for (ptrdiff_t t = 0; t < n_tiles; t++) {
                const ptrdiff_t i = n * t / n_tiles;
                const ptrdiff_t rows = n * (t + 1) / n_tiles - i;
                const product products[2] = {
                    {a0 + i * lda0, lda0, 1, p0 + j * K0, PANEL * K0, chunk == 0 ? K0 : 0},
                    {a1 + i * lda1 + k, lda1, 1, p1 + j * K1 + k * PANEL, PANEL * K1, depth},
                };
                const real *s_part = s == NULL ? NULL : s + i * lds + j;
                const real *h_part = h == NULL ? NULL : h + i * ld + j;
                real *c_part = c + i * ld + j;

                prefetch_tile(c_part, ld, rows, panels * PANEL);
                if (h != NULL)
                    prefetch_tile(h_part, ld, rows, panels * PANEL);
                NAME(tiles)[rows - 1][panels - 1](c_part, ld, s_part, lds, products, 2);
                if (chunk == n_chunks - 1)
                    finish(c_part, h_part, ld, rows, panels * PANEL, f);
            }
        }
    }
}
