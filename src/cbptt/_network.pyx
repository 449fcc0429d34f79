"""A network as the compiled code sees it: sizes, functions, and where its parameters lie.

The matrices are packed once for a batch, or once for many live steps, as the products read them.
Where they lie then is written down here and nowhere else.
"""

from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cython cimport floating
from libc.limits cimport INT_MAX
from libc.string cimport memcpy, memset

from cbptt._arena cimport Arena, take
from cbptt._kernels cimport SOFTMAX, pack_matrix, padded
from cbptt._losses cimport is_pair

CELLS = {"rnn": <int> RNN, "gru": <int> GRU, "lstm": <int> LSTM}
READOUTS = {"every": <int> EVERY, "last": <int> LAST, "mean": <int> MEAN, "max": <int> MAX}

cdef:
    # Up to this many units the kernels compute all products; above, BLAS computes those of many
    # steps at once. Up to this many inputs join the recurrent product step by step.
    Py_ssize_t MOST_UNITS = 384, MOST_INPUTS = 256


cdef class Network:
    """The sizes, functions and parameters of a network, as the compiled code sees them.

    Parameters
    ----------
    cell : int
        Code of the cell.
    sizes : (D, hidden_sizes, K) tuple
        Inputs, a tuple with the units of each layer, and outputs.
    bidirectional : bool
        Whether each layer runs in both directions.
    P : int
        Numbers in theta.
    places : list of dicts of names to where these parameters begin in theta
        One for each layer and direction, and behind them that of the output layer, which has
        "initial_state" too if the states before the first steps are learned.
    codes : (f, f_out, loss, readout) tuple of ints
        Codes of the hidden activation, the output function, the loss and the readout.
    itemsize : int
        Bytes of a number.
    own : bool
        Whether the package's kernels compute the products, else BLAS. The products of a step of a
        cell with gates are always the kernels'.

    Raises
    ------
    ValueError
        For sizes, places or codes that no network has.

    Attributes
    ----------
    state_width : int
        Numbers of the state of a sequence.
    unit_width, input_width : int
        Units, and inputs, of all layers and directions together; of inputs, a layer's two
        directions read the same.
    uses_blas : bool
        Whether BLAS computes any product of a batch, except that of dL/dx.
    """

    def __cinit__(
        self, int cell, tuple sizes, bint bidirectional, Py_ssize_t P, list places, tuple codes,
        Py_ssize_t itemsize, bint own,
    ):
        cdef Py_ssize_t D, M, K, k, d, state = 0, mask = 0, input_mask = 0
        cdef int f, f_out, loss, readout
        cdef Layer* layer
        cdef Head* head = &self.head
        D, hidden_sizes, K = sizes
        f, f_out, loss, readout = codes
        if not hidden_sizes or min(D, K, *hidden_sizes) < 1 or max(D, K, *hidden_sizes) > INT_MAX:
            raise ValueError(f"a network of {D}, {hidden_sizes}, {K} units")
        if itemsize not in (4, 8) or not 0 <= cell <= LSTM:
            raise ValueError(f"a network of the cell {cell} and {itemsize} bytes a number")
        if not (0 <= f < SOFTMAX and is_pair(f_out, loss) and 0 <= readout <= MAX):
            raise ValueError(f"a network of the codes {f}, {f_out}, {loss}, {readout}")
        self.P, self.itemsize = P, itemsize
        self.n_layers, self.n_directions = len(hidden_sizes), 2 if bidirectional else 1
        self.n_tracks = self.n_layers * self.n_directions
        self.n_items = MATRICES * self.n_tracks + 1
        if len(places) != self.n_tracks + 1:
            raise ValueError(f"places of {len(places) - 1} layers and directions")
        self.layers = <Layer*> PyMem_Calloc(self.n_tracks, sizeof(Layer))
        if self.layers == NULL:
            raise MemoryError

        for k in range(self.n_layers):
            M = hidden_sizes[k]
            for d in range(self.n_directions):
                layer = &self.layers[k * self.n_directions + d]
                layer.cell, layer.f, layer.reverse = cell, f, d == 1
                layer.D, layer.ldx = D, D if k == 0 else padded(D, itemsize)
                layer.M, layer.L = M, padded(M, itemsize)
                layer.G = 1 if cell == RNN else 3 if cell == GRU else 4
                layer.W = 1 if cell == RNN else BLOCKS
                layer.S = 2 if cell == LSTM else 1
                layer.C = 1 if cell == RNN else BLOCKS + 1
                layer.own = own or cell != RNN
                layer.folded = layer.own and D <= MOST_INPUTS
                layer.small = own and D <= MOST_INPUTS and M <= MOST_UNITS and K <= MOST_INPUTS
                self._place(layer, places[k * self.n_directions + d])
                layer.initial_state = -1
                if "initial_state" in places[self.n_tracks]:
                    layer.initial_state = places[self.n_tracks]["initial_state"] + state
                layer.state, layer.mask, layer.input_mask = state, mask, input_mask
                state += layer.S * M
                mask += M
                self.forward_flops += 2. * layer.G * M * (M + D)
                self.training_flops += layer.G * (6. * M * M + 4. * D * M)
                self.uses_blas = self.uses_blas or not layer.small
            input_mask += D
            D = M * self.n_directions
        self.state_width, self.unit_width, self.input_width = state, mask, input_mask
        for k in range(self.n_tracks):  # the layers of a network share memory, and so the choice
            self.layers[k].small = not self.uses_blas

        head.M, head.L, head.K, head.LK = D, padded(D, itemsize), K, padded(K, itemsize)
        head.readout, head.f, head.loss = readout, f_out, loss
        head.pooled = readout == MEAN or readout == MAX
        head.small = not self.uses_blas
        head.fused = cell == RNN and not bidirectional and head.small and not head.pooled
        names = {"weight_ho": K * D, "bias_o": K}
        if "initial_state" in places[self.n_tracks]:
            names["initial_state"] = state
        self._check(places[self.n_tracks], names)
        head.weight_ho = places[self.n_tracks]["weight_ho"]
        head.bias_o = places[self.n_tracks]["bias_o"]

    def __dealloc__(self):
        PyMem_Free(self.layers)

    cdef int _place(self, Layer* layer, dict places) except -1:
        cdef Py_ssize_t D = layer.D, M = layer.M, G = layer.G
        names = {"weight_ih": G * M * D, "weight_hh": G * M * M, "bias_h": G * M}
        if layer.cell == GRU:
            names["bias_hn"] = M
        self._check(places, names)
        layer.weight_ih, layer.weight_hh = places["weight_ih"], places["weight_hh"]
        layer.bias_h, layer.bias_hn = places["bias_h"], places.get("bias_hn", -1)
        return 0

    cdef int _check(self, dict places, dict names) except -1:
        if set(places) != set(names):
            raise ValueError(f"places of {sorted(places)}; expected {sorted(names)}")
        for name, size in names.items():
            if not 0 <= places[name] <= self.P - size:
                raise ValueError(f"{name} lies outside of the {self.P} numbers of theta")
        return 0


# ---- the order of gates --------------------------------------------------------------------------

cdef Py_ssize_t input_block(const Layer* layer, Py_ssize_t g) noexcept nogil:
    """Which block of a row of deltas belongs to gate g of W_ih and b_h: a GRU has n, r, z, q"""
    if layer.cell == GRU:
        return 0 if g == 2 else g + 1
    return g


cdef Py_ssize_t recurrent_block(const Layer* layer, Py_ssize_t g) noexcept nogil:
    """Which block of a row of deltas belongs to gate g of W_hh"""
    return g + 1 if layer.cell == GRU else g


# ---- the parameters, packed ----------------------------------------------------------------------

cdef void place_layer(
    PackedLayer* packed,
    Arena* arena,
    const Layer* layer,
    bint lowest,
    Purpose purpose,
    Py_ssize_t size,
) noexcept nogil:
    cdef Py_ssize_t D = layer.D, M = layer.M, L = layer.L
    # of a GRU, r and z lie apart from the sums of n, which has two
    cdef Py_ssize_t together = 2 if layer.cell == GRU else layer.G
    memset(packed, 0, sizeof(PackedLayer))
    packed.bias = take(arena, layer.W * L, size)
    if layer.folded or purpose == STEPS or layer.cell != RNN:
        packed.ih = take(arena, together * D * L, size)
    if layer.own or purpose == STEPS:
        packed.hh = take(arena, together * M * L, size)
    if layer.cell == GRU:
        packed.ih_n = take(arena, D * L, size)
        packed.hh_q = take(arena, M * L, size)
    if layer.own and purpose == BACKWARD:
        packed.hh_back = take(arena, layer.G * M * L, size)
    if layer.small and purpose == BACKWARD and not lowest:
        packed.ih_back = take(arena, layer.G * M * layer.ldx, size)


cdef void place_packed(
    Packed* packed,     # OUT
    Arena* arena,       # INOUT
    Network net,
    Purpose purpose,
) noexcept nogil:
    """The one list of what the products read"""
    cdef Head* head = &net.head
    cdef Py_ssize_t size = net.itemsize, i
    cdef PackedLayer counted
    memset(packed, 0, sizeof(Packed))
    packed.layers = <PackedLayer*> take(arena, net.n_tracks, sizeof(PackedLayer))
    for i in range(net.n_tracks):
        place_layer(&counted if packed.layers == NULL else &packed.layers[i], arena,
                    &net.layers[i], i < net.n_directions, purpose, size)
    packed.bias_o = take(arena, head.LK, size)
    if head.small or purpose == STEPS:
        packed.oh = take(arena, head.M * head.LK, size)
    if head.small and purpose == BACKWARD:
        packed.ho_back = take(arena, head.K * head.L, size)


cdef void pack_gates(
    floating* packed,           # OUT  the panels of some gates, in turns
    const floating* weight,     # IN   (n M, K)  those gates
    const Layer* layer,
    Py_ssize_t n,
    Py_ssize_t K,
) noexcept nogil:
    """The transposes of some gates' matrices, so that panels of the same units lie together"""
    cdef Py_ssize_t M = layer.M, g
    cdef Py_ssize_t columns = 64 // sizeof(floating)
    for g in range(n):
        pack_matrix(packed + g * K * columns, weight + g * M * K, K, M, True, n)


cdef void pack_bias(
    floating* packed,           # OUT (W L,)  in the order of the panels
    const floating* theta,
    const Layer* layer,
) noexcept nogil:
    cdef Py_ssize_t M = layer.M, L = layer.L, g, i
    cdef Py_ssize_t columns = 64 // sizeof(floating)
    cdef Py_ssize_t together = 2 if layer.cell == GRU else layer.G
    cdef const floating* bias = theta + layer.bias_h
    memset(packed, 0, layer.W * L * sizeof(floating))
    for g in range(together):
        for i in range(M):
            packed[(i // columns * together + g) * columns + i % columns] = bias[g * M + i]
    if layer.cell == GRU:
        memcpy(packed + 2 * L, bias + 2 * M, M * sizeof(floating))
        memcpy(packed + 3 * L, theta + layer.bias_hn, M * sizeof(floating))


cdef void pack_layer(
    const PackedLayer* packed,  # OUT
    const floating* theta,      # IN  (P,)
    const Layer* layer,
    Py_ssize_t item,
) noexcept nogil:
    cdef Py_ssize_t D = layer.D, M = layer.M, L = layer.L, g
    cdef Py_ssize_t together = 2 if layer.cell == GRU else layer.G
    cdef const floating* weight_ih = theta + layer.weight_ih
    cdef const floating* weight_hh = theta + layer.weight_hh
    if item == 0 and packed.hh != NULL:
        pack_gates(<floating*> packed.hh, weight_hh, layer, together, M)
        if packed.hh_q != NULL:
            pack_gates(<floating*> packed.hh_q, weight_hh + 2 * M * M, layer, 1, M)
    elif item == 1 and packed.hh_back != NULL:
        for g in range(layer.G):
            pack_matrix(<floating*> packed.hh_back + g * M * L, weight_hh + g * M * M, M, M, False,
                        1)
    elif item == 2 and packed.ih != NULL:
        pack_gates(<floating*> packed.ih, weight_ih, layer, together, D)
        if packed.ih_n != NULL:
            pack_gates(<floating*> packed.ih_n, weight_ih + 2 * M * D, layer, 1, D)
    elif item == 3 and packed.ih_back != NULL:
        for g in range(layer.G):
            pack_matrix(<floating*> packed.ih_back + g * M * layer.ldx, weight_ih + g * M * D, M,
                        D, False, 1)
    elif item == 4:
        pack_bias(<floating*> packed.bias, theta, layer)


cdef void pack_parameters(
    const Packed* packed,   # OUT
    const floating* theta,  # IN  (P,)
    Network net,
    Py_ssize_t item,        # 0..n_items - 1, each of which may be packed by another thread
) noexcept nogil:
    """Copy the parameters to where `place_packed` has placed them"""
    cdef Head* head = &net.head
    cdef Py_ssize_t i = item // MATRICES
    if i < net.n_tracks:
        pack_layer(&packed.layers[i], theta, &net.layers[i], item % MATRICES)
        return
    memset(packed.bias_o, 0, head.LK * sizeof(floating))
    memcpy(packed.bias_o, theta + head.bias_o, head.K * sizeof(floating))
    if packed.oh != NULL:
        pack_matrix(<floating*> packed.oh, theta + head.weight_ho, head.M, head.K, True, 1)
    if packed.ho_back != NULL:
        pack_matrix(<floating*> packed.ho_back, theta + head.weight_ho, head.K, head.M, False, 1)
