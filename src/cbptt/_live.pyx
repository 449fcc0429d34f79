"""A network for sequences that arrive step by step: one step of n of them at a time.

A call takes microseconds, so nothing is done in it that can be done before: the parameters lie
packed, and arrays are looked at through their buffers.
"""

from cpython.buffer cimport (
    PyBUF_CONTIG, PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
)
from cpython.exc cimport PyErr_WarnEx
from cpython.object cimport PyObject_CallObject
from cython cimport floating
from libc.string cimport memcmp, memcpy, memset

from cbptt._arena cimport (
    Arena, Store, arena_in, comparing, counting, release, require_whole, reserve, take
)
from cbptt._cut cimport Steps
from cbptt._kernels cimport IDENTITY, flush_denormals, forward_step, restore_mode
from cbptt._losses cimport output
from cbptt._network cimport (
    BLOCKS, LSTM, RNN, STEPS, Head, Layer, Network, Packed, pack_parameters, place_packed
)
from cbptt._packing cimport are_finite
from cbptt._recurrence cimport Track, Workspace, recur_forward


cdef enum:
    ON_STACK = 1 << 14  # bytes of work memory that need not be allocated


cdef void place_step(Stepping* s, Arena* arena, Network net, Py_ssize_t n) noexcept nogil:
    """The work memory of a step of n sequences"""
    cdef Py_ssize_t size = net.itemsize, i
    cdef const Layer* layer
    cdef Track counted
    cdef Track* track
    s.n = n
    s.tracks = <Track*> take(arena, net.n_tracks, sizeof(Track))
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        track = &counted if s.tracks == NULL else &s.tracks[i]
        memset(track, 0, sizeof(Track))
        track.state = take(arena, layer.S * n * layer.L, size)
        track.tape.h = take(arena, n * layer.L, size)
        if layer.cell == LSTM:
            track.tape.c = take(arena, n * layer.L, size)
        if layer.cell != RNN:
            track.tape.gates = take(arena, n * BLOCKS * layer.L, size)
    s.z = take(arena, n * net.head.LK, size)


cdef void load_states(
    Stepping* s,
    const floating* states,     # IN (n, state_width)
    Network net,
    Py_ssize_t n,
) noexcept nogil:
    """Copy states to where `advance` reads them"""
    cdef Py_ssize_t M, L, i, j, b
    cdef const Layer* layer
    cdef floating* state
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        M, L = layer.M, layer.L
        state = <floating*> s.tracks[i].state
        # numbers between the rows are multiplied by zeros, so they must be finite
        memset(state, 0, layer.S * n * L * sizeof(floating))
        for j in range(layer.S):
            for b in range(n):
                memcpy(state + (j * n + b) * L,
                       states + b * net.state_width + layer.state + j * M, M * sizeof(floating))


cdef void store_states(
    floating* states,           # OUT (n, state_width)
    const Stepping* s,
    Network net,
    Py_ssize_t n,
) noexcept nogil:
    """Copy the states that `advance` has left"""
    cdef Py_ssize_t M, i, j, b
    cdef const Layer* layer
    cdef const floating* state
    for i in range(net.n_tracks):
        layer = &net.layers[i]
        M = layer.M
        state = <const floating*> s.tracks[i].state
        for j in range(layer.S):
            for b in range(n):
                memcpy(states + b * net.state_width + layer.state + j * M,
                       state + (j * n + b) * layer.L, M * sizeof(floating))


cdef floating* advance(
    Stepping* s,                # INOUT  states
    const floating* x,          # IN  (n, D)
    const Packed* packed,
    Network net,
    Py_ssize_t n,
) noexcept nogil:
    """One step through all layers, and a2_t = W1 h_t + b1, which is returned

    Rows of a2 lie LK = padded(K) apart.
    """
    cdef:
        const Head* head = &net.head
        Steps steps = Steps(B=n, alive=&s.n, first=0, T=1, N=n, n_before=n, n_after=0)
        Py_ssize_t i
        const void* y = x
        Workspace none
    memset(&none, 0, sizeof(Workspace))
    for i in range(net.n_tracks):
        s.tracks[i].tape.x = <void*> y
        recur_forward(&s.tracks[i], &none, 0, x, &packed.layers[i], &net.layers[i], &steps, True)
        y = s.tracks[i].tape.h
    forward_step(<floating*> s.z, <const floating*> packed.bias_o, 0, <const floating*> y, head.L,
                 <const floating*> packed.oh, <const floating*> NULL, <const floating*> NULL, n,
                 head.K, head.M, IDENTITY)
    return <floating*> s.z


cdef void step(
    floating* out,              # OUT (n, K)  h2
    floating* h_new,            # OUT (n, state_width)
    const floating* x,          # IN  (n, D)
    const floating* h,          # IN  (n, state_width)
    Stepping* s,                # scratch
    const Packed* packed,
    Network net,
    Py_ssize_t n,
) noexcept nogil:
    """One step, its outputs h2_t = f_out(a2_t) and its states without padding"""
    cdef Py_ssize_t K = net.head.K, LK = net.head.LK, i
    cdef unsigned long long mode = flush_denormals()
    cdef floating* z
    load_states(s, h, net, n)
    z = advance(s, x, packed, net, n)
    output(z, LK, n, K, net.head.f)
    store_states(h_new, s, net, n)
    for i in range(n):
        memcpy(out + i * K, z + i * LK, K * sizeof(floating))
    restore_mode(mode)


cdef bint look_at(Py_buffer* view, object array, Py_ssize_t columns, char code) except -1:
    """Look at an (n, columns) array; return whether it is one, of this kind of number"""
    try:
        PyObject_GetBuffer(array, view, PyBUF_CONTIG_RO | PyBUF_FORMAT)
    except (BufferError, TypeError, ValueError):
        return False
    if (view.ndim == 2 and view.shape[1] == columns and view.format[0] == code
            and view.format[1] == 0):
        return True
    PyBuffer_Release(view)
    return False


cdef int require_size(Py_buffer* view, Py_ssize_t size) except -1:
    if view.len != size:
        raise ValueError(f"cbptt's compiled code got {view.len} bytes; expected {size}.")
    return 0


cdef class Parameters:
    """The values of a network's parameters, and whether somebody else may change them.

    Parameters
    ----------
    theta : (P,) ndarray of memory that keeps its place

    Attributes
    ----------
    theta : (P,) ndarray
        For readers; `share` returns what may be written to.
    """

    def __cinit__(self, theta):
        self.theta = theta

    def share(self):
        """Return a view to write to; from now on, changes are looked for at each step."""
        self.shared = True
        return self.theta.view()


cdef class Live:
    """Steps of live sequences through a network's parameters, as they are at each step.

    Parameters
    ----------
    net : Network
    parameters : Parameters
    empty : callable
        numpy.empty
    dtype : the precision of the parameters
    """

    def __cinit__(self, Network net, Parameters parameters, object empty, object dtype):
        cdef Arena arena
        if net.n_directions == 2:
            raise ValueError("a network of two directions reads whole sequences")
        self.net, self.parameters, self.empty, self.dtype = net, parameters, empty, dtype
        self.one_out, self.one_h = ((1, net.head.K), dtype), ((1, net.state_width), dtype)
        self.single = net.itemsize == sizeof(float)
        PyObject_GetBuffer(parameters.theta, &self.theta, PyBUF_CONTIG_RO)
        self.holds_theta = True
        if self.theta.itemsize != net.itemsize or self.theta.len != net.P * net.itemsize:
            raise ValueError("the parameters are not those of the network")
        arena = counting()
        self._place(&arena)
        if not reserve(&self.store, arena.used):
            raise MemoryError
        arena = arena_in(&self.store)
        self._place(&arena)
        self._pack()
        arena = comparing(&self.store)
        self._place(&arena)
        require_whole(&arena)

    def __dealloc__(self):
        release(&self.store)
        if self.holds_theta:
            PyBuffer_Release(&self.theta)

    cdef void _place(self, Arena* arena) noexcept:
        place_packed(&self.packed, arena, self.net, STEPS)
        self.seen = take(arena, self.net.P, self.net.itemsize)

    cdef void _pack(self) noexcept:
        cdef Py_ssize_t item
        memcpy(self.seen, self.theta.buf, self.theta.len)
        for item in range(self.net.n_items):
            if self.single:
                pack_parameters(&self.packed, <const float*> self.seen, self.net, item)
            else:
                pack_parameters(&self.packed, <const double*> self.seen, self.net, item)

    cdef void follow(self) noexcept:
        """Pack the parameters again if somebody has changed them"""
        if self.parameters.shared and memcmp(self.seen, self.theta.buf, self.theta.len) != 0:
            self._pack()

    def step(self, x, h):
        """Take one step.

        Parameters
        ----------
        x : (n, D) array of the network's precision, C-contiguous
        h : (n, state_width) array, as x

        Returns
        -------
        (out, h_new) : (n, K) and (n, state_width) arrays; or None, if x or h is not as described or
            not finite.
        """
        cdef:
            Network net = self.net
            Py_ssize_t D = net.layers[0].D, K = net.head.K, M = net.state_width, n
            Py_buffer of_x, of_h, of_out, of_h_new
            char code = b"f" if self.single else b"d"
            char on_stack[ON_STACK]
            Store store
            Arena arena
            Stepping stepping
            bint finite = False
        if not look_at(&of_x, x, D, code):
            return None
        if not look_at(&of_h, h, M, code):
            PyBuffer_Release(&of_x)
            return None
        self.follow()
        n = of_x.shape[0]
        if n == of_h.shape[0] and n > 0:
            if self.single:
                finite = (are_finite(<const float*> of_x.buf, n * D)
                          and are_finite(<const float*> of_h.buf, n * M))
            else:
                finite = (are_finite(<const double*> of_x.buf, n * D)
                          and are_finite(<const double*> of_h.buf, n * M))
        if not finite:
            PyBuffer_Release(&of_x)
            PyBuffer_Release(&of_h)
            return None
        arena = counting()
        place_step(&stepping, &arena, net, n)
        store.block, store.base, store.size = NULL, on_stack, ON_STACK
        if not reserve(&store, arena.used):
            PyBuffer_Release(&of_x)
            PyBuffer_Release(&of_h)
            raise MemoryError
        arena = arena_in(&store)
        place_step(&stepping, &arena, net, n)
        try:
            out = PyObject_CallObject(
                self.empty, self.one_out if n == 1 else ((n, K), self.dtype)
            )
            h_new = PyObject_CallObject(
                self.empty, self.one_h if n == 1 else ((n, M), self.dtype)
            )
            PyObject_GetBuffer(out, &of_out, PyBUF_CONTIG)
            PyObject_GetBuffer(h_new, &of_h_new, PyBUF_CONTIG)
            require_size(&of_out, n * K * net.itemsize)
            require_size(&of_h_new, n * M * net.itemsize)
            if self.single:
                step(<float*> of_out.buf, <float*> of_h_new.buf, <const float*> of_x.buf,
                     <const float*> of_h.buf, &stepping, &self.packed, net, n)
            else:
                step(<double*> of_out.buf, <double*> of_h_new.buf, <const double*> of_x.buf,
                     <const double*> of_h.buf, &stepping, &self.packed, net, n)
            arena = comparing(&store)
            place_step(&stepping, &arena, net, n)
            require_whole(&arena)
            if self.single:
                finite = are_finite(<const float*> of_out.buf, n * K)
            else:
                finite = are_finite(<const double*> of_out.buf, n * K)
            PyBuffer_Release(&of_out)
            PyBuffer_Release(&of_h_new)
            if not finite:
                PyErr_WarnEx(
                    RuntimeWarning,
                    b"a step computed NaN or infinity: the states leave the range of their "
                    b"precision, or a parameter is not finite",
                    2,
                )
            return out, h_new
        finally:
            PyBuffer_Release(&of_x)
            PyBuffer_Release(&of_h)
            release(&store)
