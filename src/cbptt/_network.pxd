"""A network as the compiled code sees it: sizes, functions, and where its parameters lie."""

from cython cimport floating

from cbptt._arena cimport Arena


cdef enum Cell:
    RNN, GRU, LSTM

cdef enum Readout:
    EVERY, LAST, MEAN, MAX  # every step, or one row of states for each sequence

cdef enum:
    BLOCKS = 4          # of a row of gates, each of L numbers


cdef struct Layer:      # one recurrent layer in one direction: sizes and places, no memory
    int cell
    int f               # the hidden activation of an RNN
    bint reverse        # steps run from the last to the first
    Py_ssize_t D, ldx   # inputs, numbers from row to row of them
    Py_ssize_t M, L     # units, numbers from row to row of them
    Py_ssize_t G        # gate blocks of M rows each in its weight matrices
    Py_ssize_t W        # blocks of L numbers of dL/da
    Py_ssize_t S        # rows of M that are carried forward: h, and c of an LSTM
    Py_ssize_t C        # rows of L that are carried back, see the cell
    bint own            # the kernels compute the recurrent product,
    bint folded         # W0 x_t with it,
    bint small          # and all others too: BLAS computes none
    Py_ssize_t weight_ih, weight_hh, bias_h, bias_hn  # places in theta; bias_hn of a GRU
    Py_ssize_t initial_state                          # and of its state; or -1: it is 0
    Py_ssize_t state    # columns before its own in the states of the network,
    Py_ssize_t mask     # in the masks of the recurrences,
    Py_ssize_t input_mask                             # and in those of inputs


cdef struct Head:       # what reads the states: the output layer, and its loss
    Py_ssize_t M, L     # states that are read
    Py_ssize_t K, LK    # outputs
    int readout, f, loss
    bint pooled         # the readout is MEAN or MAX
    bint small          # the kernels compute its products
    bint fused          # dL/da2 W1 is computed in the recurrence
    Py_ssize_t weight_ho, bias_o                      # places in theta


cdef enum Purpose:      # what parameters are packed for: batches forward, forward and back, steps
    FORWARD, BACKWARD, STEPS


cdef struct PackedLayer:    # matrices as the products read them; NULL: BLAS reads theta
    void* bias
    void* ih
    void* hh
    void* ih_n              # of a GRU
    void* hh_q
    void* hh_back
    void* ih_back           # of a layer above another


cdef struct Packed:
    PackedLayer* layers     # (n_tracks,)
    void* bias_o            # (LK,)
    void* oh                # W1', (M, K)
    void* ho_back           # W1, (K, M)


cdef enum:
    MATRICES = 5            # items of a layer in `pack_parameters`


cdef class Network:
    cdef readonly bint uses_blas
    cdef readonly Py_ssize_t state_width, unit_width, input_width
    cdef:
        Py_ssize_t P, itemsize
        Py_ssize_t n_layers, n_directions, n_tracks, n_items
        Layer* layers       # (n_tracks,)  layer 0 forward, layer 0 reverse, layer 1 forward, ..
        Head head
        double forward_flops, training_flops    # of the products of a step of one sequence

    cdef int _place(self, Layer* layer, dict places) except -1
    cdef int _check(self, dict places, dict names) except -1


cdef Py_ssize_t input_block(const Layer* layer, Py_ssize_t g) noexcept nogil

cdef Py_ssize_t recurrent_block(const Layer* layer, Py_ssize_t g) noexcept nogil

cdef void place_packed(
    Packed* packed,
    Arena* arena,
    Network net,
    Purpose purpose,
) noexcept nogil

cdef void pack_parameters(
    const Packed* packed,
    const floating* theta,
    Network net,
    Py_ssize_t item,
) noexcept nogil
