/* The table of one instruction set and precision. */
#include "set.h"
#include "elementary.h"

#if CBPTT_BITS == 32
const limits NAME(limits) = {-9.1f, 9.1f, -104, 20, -104, 89};
#else
const limits NAME(limits) = {-19.1, 19.1, -746, 40, -746, 710};
#endif

#if CBPTT_BITS == 32
const cbptt_table_f32 NAME(table) = {
#else
const cbptt_table_f64 NAME(table) = {
#endif
    .activate = NAME(activate),
    .derivative = NAME(derivative),
    .exponential = NAME(exponential),
    .pack = NAME(pack),
    .step = NAME(step),
    .pack_columns = NAME(pack_columns),
    .pack_inputs = NAME(pack_inputs),
    .add_transposed = NAME(add_transposed),
    .lstm_forward = NAME(lstm_forward),
    .lstm_backward = NAME(lstm_backward),
    .gru_forward = NAME(gru_forward),
    .gru_backward = NAME(gru_backward),
};
