/* The kernels alone: the loops of one shape as _elman.pyx and _recurrence.pyx run them, on one
 * part, timed piece by piece. Compiled with the kernels' sources, for one instruction set and
 * precision, into a library; CHUNK is that of _cut.pyx.
 *
 *     seconds[0]  forward:     packing W0', W11', and T steps of h_t = tanh(b0 + x_t W0' + h_{t-1} W11')
 *     seconds[1]  backward:    packing W11, and T steps of da_t = (da_{t+1} W11) (1 - h_t^2)
 *     seconds[2]  derivatives: packing chunks, da' h_prev and [x, 1]' da */
#define _POSIX_C_SOURCE 200809L
#include "set.h"
#include "tile.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static real *numbers(ptrdiff_t n, double scale)
{
    real *p = aligned_alloc(64, ((size_t)n * sizeof(real) + 127) / 64 * 64);
    for (ptrdiff_t i = 0; i < n; i++)
        p[i] = (real)(scale * (rand() / (double)RAND_MAX - 0.5));
    return p;
}

static ptrdiff_t padded(ptrdiff_t n)
{
    return fewest_parts(n, PANEL) * PANEL;
}

/* seconds INOUT (3,): each becomes the smaller of what it was and what the round took */
void kernels_round(double *seconds, ptrdiff_t B, ptrdiff_t T, ptrdiff_t D, ptrdiff_t M,
                   int n_rounds)
{
    const ptrdiff_t L = padded(M), N = B * T;
    real *states = numbers((B + N) * L, 1), *da = numbers((CHUNK + 2 * B) * L, 1e-3);
    real *x = numbers(N * D, 2), *bias = numbers(L, 1);
    real *w_ih = numbers(M * D, 1), *w_hh = numbers(M * M, 1);
    real *p_ih = numbers(D * L, 0), *p_hh = numbers(M * L, 0), *p_back = numbers(M * L, 0);
    real *dhh = numbers(M * M, 0), *dih = numbers((D + 1) * L, 0);
    const ptrdiff_t most = CHUNK > B ? CHUNK : B, steps = most / B;
    real *left = numbers(most * L, 0), *right = numbers(most * L, 0);
    real *inputs = numbers(most * padded(D + 1), 0);

    for (int round = 0; round < n_rounds; round++) {
        double started = now(), forward, backward = 0, derivatives = 0;
        NAME(pack)(p_ih, w_ih, D, M, 1);
        NAME(pack)(p_hh, w_hh, M, M, 1);
        for (ptrdiff_t t = 0; t < T; t++)
            NAME(step)(states + (t + 1) * B * L, bias, 0, x + t * B * D, D, p_ih, D,
                       states + t * B * L, L, p_hh, M, NULL, B, M, CBPTT_TANH);
        forward = now() - started;

        started = now();
        NAME(pack)(p_back, w_hh, M, M, 0);
        backward += now() - started;
        for (ptrdiff_t end = T; end > 0;) {
            const ptrdiff_t first = end > steps ? end - steps : 0, rows = (end - first) * B;
            started = now();
            for (ptrdiff_t t = end - 1; t >= first; t--) {
                /* the step behind the chunk lies in its first rows, from the chunk before */
                const real *da_next = da + (t == end - 1 ? 0 : t + 1 - first + 1) * B * L;
                NAME(step)(da + (t - first + 1) * B * L, NULL, 0, NULL, 0, NULL, 0, da_next, L,
                           p_back, M, states + (t + 1) * B * L, B, M, CBPTT_TANH);
            }
            backward += now() - started;

            started = now();
            NAME(pack_columns)(left, rows, 0, da + B * L, L, rows, M);
            NAME(pack_columns)(right, rows, 0, states + first * B * L, L, rows, M);
            NAME(pack_inputs)(inputs, x + first * B * D, rows, D);
            NAME(add_transposed)(dhh, M, left, right, rows, M, M, end < T);
            NAME(add_transposed)(dih, L, inputs, left, rows, D + 1, M, end < T);
            derivatives += now() - started;
            memcpy(da, da + B * L, (size_t)(B * L) * sizeof(real));
            end = first;
        }
        seconds[0] = forward < seconds[0] ? forward : seconds[0];
        seconds[1] = backward < seconds[1] ? backward : seconds[1];
        seconds[2] = derivatives < seconds[2] ? derivatives : seconds[2];
    }
    real *all[] = {states, da,  x,   bias, w_ih,  w_hh,   p_ih,
                   p_hh,   p_back, dhh, dih,  left, right, inputs};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}
