/* The register tile: one body, an instance for each size. */
#include "tile.h"

typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/* A multiply-add takes about four cycles and two begin in each, so eight sums keep the processor
 * busy. A tile of fewer splits the sum over k in two or four, added up at the end. */
#define SPLIT(R, P) ((R) * (P) * VECTORS <= 2 ? 4 : (R) * (P) * VECTORS <= 4 ? 2 : 1)

#define FOR_SUMS(R, P)                                                                             \
    for (int i = 0; i < R; i++)                                                                    \
        for (int v = 0; v < P * VECTORS; v++)

#define MULTIPLY_ADD(R, P, sums)                                                                   \
    {                                                                                              \
        vector row[P * VECTORS];                                                                   \
        for (int v = 0; v < P * VECTORS; v++)                                                      \
            row[v] = *(const vector *)(b + v / VECTORS * b_panel + v % VECTORS * LANES);           \
        FOR_SUMS(R, P) sums[i][v] += a[i * a_row] * row[v];                                        \
    }

#define TILE(R, P)                                                                                 \
    static void tile_##R##_##P(real *c, ptrdiff_t ldc, const real *s, ptrdiff_t lds,               \
                               const product *products, int n_products)                            \
    {                                                                                              \
        vector sum[SPLIT(R, P)][R][P * VECTORS];                                                   \
        for (int part = 0; part < SPLIT(R, P); part++)                                             \
            FOR_SUMS(R, P) sum[part][i][v] = (vector){0};                                          \
        for (int n = 0; n < n_products; n++) {                                                     \
            const real *a = products[n].a, *b = products[n].b;                                     \
            const ptrdiff_t a_row = products[n].a_row, a_step = products[n].a_step;                \
            const ptrdiff_t b_panel = products[n].b_panel;                                         \
            ptrdiff_t k = products[n].depth;                                                       \
            for (; k >= SPLIT(R, P); k -= SPLIT(R, P))                                             \
                for (int part = 0; part < SPLIT(R, P); part++, a += a_step, b += PANEL)            \
                    MULTIPLY_ADD(R, P, sum[part])                                                  \
            for (; k > 0; k--, a += a_step, b += PANEL)                                            \
                MULTIPLY_ADD(R, P, sum[0])                                                         \
        }                                                                                          \
        for (int part = 1; part < SPLIT(R, P); part++)                                             \
            FOR_SUMS(R, P) sum[0][i][v] += sum[part][i][v];                                        \
        if (s != NULL)                                                                             \
            FOR_SUMS(R, P) sum[0][i][v] += *(const vector *)(s + i * lds + v * LANES);             \
        FOR_SUMS(R, P) * (vector *)(c + i * ldc + v * LANES) = sum[0][i][v];                       \
    }
#define TILES(P)                                                                                   \
    TILE(1, P) TILE(2, P) TILE(3, P) TILE(4, P) TILE(5, P) TILE(6, P) TILE(7, P) TILE(8, P)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)
TILES(7)
TILES(8)

#define FITS(R, P) (R * P * VECTORS <= REGISTERS ? tile_##R##_##P : NULL)
#define ROW(R)                                                                                     \
    {FITS(R, 1), FITS(R, 2), FITS(R, 3), FITS(R, 4), FITS(R, 5), FITS(R, 6), FITS(R, 7), FITS(R, 8)}
cbptt_tile *const NAME(tiles)[MAX_TILE][MAX_TILE] = {ROW(1), ROW(2), ROW(3), ROW(4),
                                                     ROW(5), ROW(6), ROW(7), ROW(8)};
