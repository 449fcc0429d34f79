"""A network as the compiled code sees it: sizes, functions, and where its parameters lie."""

from cython cimport floating

from cbptt._arena cimport Arena


cdef enum Readout:
    EVERY, LAST, MEAN, MAX  # every step, or one row of states for each sequence


cdef struct Layer:      # one recurrent layer: sizes and places, no memory
    Py_ssize_t D, M, L  # inputs, units, numbers from row to row of units
    Py_ssize_t G        # gate blocks of M rows each in its weight matrices
    Py_ssize_t S        # rows of M that are carried forward
    Py_ssize_t C        # rows of M that are carried back
    int f               # the hidden activation
    bint own            # the kernels take the recurrent product,
    bint folded         # W0 x_t with it,
    bint small          # and all others too: BLAS takes none
    Py_ssize_t weight_ih, weight_hh, bias_h  # places in theta,
    Py_ssize_t initial_state                 # and of h_0; or -1: it is 0


cdef struct Head:       # what reads the states: the output layer, and its loss
    Py_ssize_t M, L     # states
    Py_ssize_t K, LK    # outputs
    int readout, f, loss
    bint pooled         # the readout is MEAN or MAX
    bint small          # the kernels take its products
    Py_ssize_t weight_ho, bias_o             # places in theta


cdef enum Purpose:      # what parameters are packed for: batches forward, forward and back, steps
    FORWARD, BACKWARD, STEPS


cdef struct Packed:     # the parameters as the products read them; NULL: BLAS reads theta
    void* bias_h        # (L,)
    void* ih            # W0', (D, M)
    void* hh            # W11', (M, M)
    void* hh_back       # W11, (M, M)
    void* bias_o        # (LK,)
    void* oh            # W1', (M, K)
    void* ho_back       # W1, (K, M)

cdef enum:
    MATRICES = 4        # items of `pack_parameters`


cdef class Network:
    cdef readonly bint uses_blas
    cdef readonly Py_ssize_t state_width
    cdef:
        Py_ssize_t P, itemsize
        Layer layer
        Head head


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
