/* The register tile: one body, an instance for each size. */
#include "tile.h"

typedef real vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));

#define TILE(R, P)                                                                                 \
    static void tile_##R##_##P(real *restrict c, ptrdiff_t ldc, const real *restrict a,            \
                               ptrdiff_t a_row, ptrdiff_t a_step, const real *restrict b,          \
                               ptrdiff_t b_panel, ptrdiff_t b_step, ptrdiff_t depth)               \
    {                                                                                              \
        vector sum[R][P * VECTORS] = {{{0}}};                                                      \
        for (ptrdiff_t k = 0; k < depth; k++, a += a_step, b += b_step) {                          \
            vector row[P * VECTORS];                                                               \
            for (int v = 0; v < P * VECTORS; v++)                                                  \
                row[v] = *(const vector *)(b + v / VECTORS * b_panel + v % VECTORS * LANES);       \
            for (int i = 0; i < R; i++)                                                            \
                for (int v = 0; v < P * VECTORS; v++)                                              \
                    sum[i][v] += a[i * a_row] * row[v];                                            \
        }                                                                                          \
        for (int i = 0; i < R; i++)                                                                \
            for (int v = 0; v < P * VECTORS; v++)                                                  \
                *(vector *)(c + i * ldc + v * LANES) += sum[i][v];                                 \
    }
#define TILES(P) TILE(1, P) TILE(2, P) TILE(3, P) TILE(4, P) TILE(5, P) TILE(6, P)
TILES(1)
TILES(2)
TILES(3)
TILES(4)
TILES(5)
TILES(6)

#define FITS(R, P) (R * P * VECTORS <= REGISTERS ? tile_##R##_##P : NULL)
#define ROW(R)     {FITS(R, 1), FITS(R, 2), FITS(R, 3), FITS(R, 4), FITS(R, 5), FITS(R, 6)}
cbptt_tile *const NAME(tiles)[MAX_TILE][MAX_TILE] = {ROW(1), ROW(2), ROW(3),
                                                     ROW(4), ROW(5), ROW(6)};
