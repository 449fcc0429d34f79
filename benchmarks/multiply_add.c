/* Multiply-adds on independent registers: what a core gives when nothing is loaded or stored. */
#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define CHAINS 12 /* enough to hide the latency of four or five cycles on two units */

#define MULTIPLY_ADD(name, type)                                                                   \
    /* Run n rounds of CHAINS vectors; return how many operations that was. */                     \
    double name(long n, type *sum)                                                                 \
    {                                                                                              \
        typedef type vector __attribute__((vector_size(BYTES)));                                   \
        vector chain[CHAINS], factor, addend;                                                      \
        for (int lane = 0; lane < BYTES / (int)sizeof(type); ++lane) {                             \
            factor[lane] = (type)0.5 + *sum;                                                       \
            addend[lane] = (type)1.0 + *sum;                                                       \
        }                                                                                          \
        for (int i = 0; i < CHAINS; ++i)                                                           \
            chain[i] = addend * (type)i;                                                           \
        for (long round = 0; round < n; ++round)                                                   \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; ++i)                              \
            {                                                                                      \
                chain[i] = chain[i] * factor + addend;                                             \
            }                                                                                      \
        for (int i = 0; i < CHAINS; ++i)                                                           \
            for (int lane = 0; lane < BYTES / (int)sizeof(type); ++lane)                           \
                *sum += chain[i][lane];                                                            \
        return 2.0 * n * CHAINS * BYTES / sizeof(type);                                            \
    }

MULTIPLY_ADD(multiply_add_float32, float)
MULTIPLY_ADD(multiply_add_float64, double)
