"""A network as the compiled code sees it: sizes, functions, and where its parameters lie.

The matrices are packed once for a batch, or once for many live steps, as the products read them.
Where they lie then is written down here and nowhere else.
"""

from cython cimport floating
from libc.limits cimport INT_MAX
from libc.string cimport memcpy, memset

from cbptt._arena cimport Arena, take
from cbptt._kernels cimport SOFTMAX, pack_matrix, padded
from cbptt._losses cimport is_pair

READOUTS = {"every": <int> EVERY, "last": <int> LAST, "mean": <int> MEAN, "max": <int> MAX}

cdef:
    # Up to this many units the kernels compute all products; above, BLAS computes those of many
    # steps at once. Up to this many inputs join the recurrent product step by step.
    Py_ssize_t MOST_UNITS = 384, MOST_INPUTS = 256


cdef class Network:
    """The sizes, functions and parameters of a network, as the compiled code sees them.

    Parameters
    ----------
    sizes : (D, M, K) tuple of ints
        Inputs, hidden units and outputs.
    P : int
        Numbers in theta.
    places : dict of the parameters' names to where they begin in theta
        Without "initial_state" h_0 is 0 where it is not given.
    codes : (f, f_out, loss, readout) tuple of ints
        Codes of the hidden activation, the output function, the loss and the readout.
    itemsize : int
        Bytes of a number.
    own : bool
        Whether the package's kernels compute the recurrent product, else BLAS.

    Raises
    ------
    ValueError
        For sizes, places or codes that no network has.

    Attributes
    ----------
    state_width : int
        Numbers of the state of a sequence.
    uses_blas : bool
        Whether BLAS computes any product of a batch, except that of dL/dx.
    """

    def __cinit__(
        self, tuple sizes, Py_ssize_t P, dict places, tuple codes, Py_ssize_t itemsize, bint own
    ):
        cdef Py_ssize_t D, M, K, size
        cdef int f, f_out, loss, readout
        cdef Layer* layer = &self.layer
        cdef Head* head = &self.head
        D, M, K = sizes
        f, f_out, loss, readout = codes
        if min(D, M, K) < 1 or max(D, M, K) > INT_MAX or itemsize not in (4, 8):
            raise ValueError(f"a network of {D}, {M}, {K} units and {itemsize} bytes a number")
        if not (0 <= f < SOFTMAX and is_pair(f_out, loss) and 0 <= readout <= MAX):
            raise ValueError(f"a network of the codes {f}, {f_out}, {loss}, {readout}")
        extents = {
            "weight_ih": M * D, "bias_h": M, "weight_hh": M * M, "weight_ho": K * M, "bias_o": K,
            "initial_state": M,
        }
        for name, size in extents.items():
            if not 0 <= places.get(name, 0) <= P - size:
                raise ValueError(f"{name} lies outside of the {P} numbers of theta")

        self.P, self.itemsize = P, itemsize
        layer.D, layer.M, layer.L = D, M, padded(M, itemsize)
        layer.G = layer.S = layer.C = 1
        layer.f = f
        layer.own = own
        layer.folded = own and D <= MOST_INPUTS
        layer.small = layer.folded and M <= MOST_UNITS and K <= MOST_INPUTS
        layer.weight_ih, layer.weight_hh = places["weight_ih"], places["weight_hh"]
        layer.bias_h = places["bias_h"]
        layer.initial_state = places.get("initial_state", -1)

        head.M, head.L, head.K, head.LK = M, layer.L, K, padded(K, itemsize)
        head.readout, head.f, head.loss = readout, f_out, loss
        head.pooled = readout == MEAN or readout == MAX
        head.small = layer.small
        head.weight_ho, head.bias_o = places["weight_ho"], places["bias_o"]

        self.state_width = layer.S * M
        self.uses_blas = not layer.small


# ---- the parameters, packed ----------------------------------------------------------------------

cdef void place_packed(
    Packed* packed,     # OUT
    Arena* arena,       # INOUT
    Network net,
    Purpose purpose,
) noexcept nogil:
    """The one list of what the products read"""
    cdef Layer* layer = &net.layer
    cdef Head* head = &net.head
    cdef Py_ssize_t size = net.itemsize, D = layer.D, M = layer.M, K = head.K
    memset(packed, 0, sizeof(Packed))
    packed.bias_h = take(arena, layer.L, size)
    packed.bias_o = take(arena, head.LK, size)
    if layer.folded or purpose == STEPS:
        packed.ih = take(arena, D * layer.L, size)
    if layer.own or purpose == STEPS:
        packed.hh = take(arena, M * layer.L, size)
    if layer.own and purpose == BACKWARD:
        packed.hh_back = take(arena, M * layer.L, size)
    if head.small or purpose == STEPS:
        packed.oh = take(arena, M * head.LK, size)
    if head.small and purpose == BACKWARD:
        packed.ho_back = take(arena, K * layer.L, size)


cdef void pack_parameters(
    const Packed* packed,   # OUT
    const floating* theta,  # IN  (P,)
    Network net,
    Py_ssize_t item,        # 0..MATRICES - 1, each of which may be packed by another thread
) noexcept nogil:
    """Copy the parameters to where `place_packed` has placed them"""
    cdef Layer* layer = &net.layer
    cdef Head* head = &net.head
    cdef Py_ssize_t D = layer.D, M = layer.M, K = head.K
    if item == 0 and packed.hh != NULL:
        pack_matrix(<floating*> packed.hh, theta + layer.weight_hh, M, M, True)
    elif item == 1 and packed.hh_back != NULL:
        pack_matrix(<floating*> packed.hh_back, theta + layer.weight_hh, M, M, False)
    elif item == 2 and packed.ih != NULL:
        pack_matrix(<floating*> packed.ih, theta + layer.weight_ih, D, M, True)
    elif item == 3:
        memset(packed.bias_h, 0, layer.L * sizeof(floating))
        memcpy(packed.bias_h, theta + layer.bias_h, M * sizeof(floating))
        memset(packed.bias_o, 0, head.LK * sizeof(floating))
        memcpy(packed.bias_o, theta + head.bias_o, K * sizeof(floating))
        if packed.oh != NULL:
            pack_matrix(<floating*> packed.oh, theta + head.weight_ho, M, K, True)
        if packed.ho_back != NULL:
            pack_matrix(<floating*> packed.ho_back, theta + head.weight_ho, K, M, False)
