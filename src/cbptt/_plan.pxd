"""How batches are cut into parts, and where everything of a part lies in work memory."""


cdef enum:
    SIZE, PARTS, HEAD  # of batch_order: B, the parts it is cut into; where the sequences begin

cdef enum:
    EVERY, LAST, MEAN, MAX  # readouts: every step, or one row of states for each sequence


cdef class _Arena:
    cdef readonly Py_ssize_t size
    cdef readonly list gaps
    cdef Py_ssize_t itemsize

    cdef Py_ssize_t room(self, Py_ssize_t n)


cdef class Network:
    cdef readonly Py_ssize_t packed_size, sums_size
    cdef readonly list packed_gaps
    cdef readonly bint uses_blas
    cdef:
        Py_ssize_t D, M, K, P, L, LK, itemsize, chunk
        Py_ssize_t weight_ih, weight_hh, bias_h, weight_ho, bias_o           # places in theta
        Py_ssize_t initial_state                                             # or -1: h_0 is 0
        Py_ssize_t bias_h_row, bias_o_row, ih, hh, oh, hh_back, ho_back      # and in packed
        int f, f_out, loss, readout
        bint pooled      # the readout is MEAN or MAX
        bint own         # the kernels take the recurrent product,
        bint folded      # W0 x_t with it,
        bint small       # and all others too: BLAS takes none


cdef class Plan:
    cdef readonly Py_ssize_t n_parts, n_rows, block_size, index_size, order_size
    cdef readonly list block_gaps, index_gaps
    cdef:
        Network net
        bint keeps_states, masked
        bint ragged                      # whether some sequences may end before others do
        Py_ssize_t batch_size            # the most sequences of a batch,
        Py_ssize_t B, T, N               # and sequences, steps and rows of a part
        Py_ssize_t part_rows, chunk      # sequences of a part, rows of a chunk
        Py_ssize_t checkpoint            # steps of a segment; 0: one segment of all
        double sequence_flops            # of an average sequence
        Py_ssize_t states, x, weight, z, dz, h_read, dh_read, da, da_after   # places in a block
        Py_ssize_t left, right, inputs, dinputs, sums, inner, mask, dh_inner, kept
        Py_ssize_t order, ends, batch_sizes, rows, cuts, segments    # and in indices

    cdef Py_ssize_t parts_of(self, Py_ssize_t B) noexcept nogil
    cdef bint lay_out(
        self,
        Py_ssize_t* batch_order,    # OUT (order_size,)
        Py_ssize_t* indices,        # scratch (index_size,)
        const Py_ssize_t* ids,      # IN  (B,)     the batch's sequences
        const Py_ssize_t* starts,   # IN  (n,)
        const Py_ssize_t* stops,    # IN  (n,)
        Py_ssize_t B,
    ) noexcept nogil

    cdef Py_ssize_t cut(
        self,
        Py_ssize_t* indices,        # INOUT (index_size,)
        Py_ssize_t T,
    ) noexcept nogil
