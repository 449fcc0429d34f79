"""A network for sequences that arrive step by step: one step of n of them at a time.

A call takes microseconds, so nothing is done in it that can be done before: the parameters lie
packed, and arrays are looked at through their buffers.
"""

from cpython.buffer cimport (
    PyBUF_CONTIG, PyBUF_CONTIG_RO, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
)
from cpython.exc cimport PyErr_WarnEx
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject_CallObject
from cython cimport floating
from libc.stdint cimport uintptr_t
from libc.string cimport memcmp, memcpy, memset

from cbptt._kernels cimport IDENTITY, flush_denormals, forward_step, pack_matrix, restore_mode
from cbptt._losses cimport output
from cbptt._plan cimport Network


cdef enum:
    ON_STACK = 1 << 14  # bytes of work memory that need not be allocated
    LINE = 64           # bytes of a line of the cache, at which packed parameters begin


cdef void advance(
    floating* h_t,           # OUT (n, M)  rows of M numbers padded(M) apart
    floating* z,             # OUT (n, K)  a2_t, likewise
    const floating* x,       # IN  (n, D)
    const floating* h_prev,  # IN  (n, M)  as h_t; between its rows are finite numbers
    const floating* packed,  # IN  from `pack`
    Network net,
    Py_ssize_t n,
) noexcept nogil:
    """a1_t = W0 x_t + W11 h_{t-1} + b0,  h_t = f(a1_t),  a2_t = W1 h_t + b1"""
    cdef:
        Py_ssize_t D = net.D, M = net.M, K = net.K, L = net.L
        const floating* bias_o = packed + L
        const floating* ih = bias_o + net.LK
        const floating* hh = ih + D * L
        const floating* oh = hh + M * L
    forward_step(h_t, packed, 0, x, D, ih, h_prev, hh, n, M, D, net.f)
    forward_step(z, bias_o, 0, h_t, L, oh, <const floating*> NULL, <const floating*> NULL, n, K, M,
                 IDENTITY)


cdef void step(
    floating* out,           # OUT (n, K)  h2
    floating* h_new,         # OUT (n, M)
    const floating* x,       # IN  (n, D)
    const floating* h,       # IN  (n, M)
    const floating* packed,  # IN  from `pack`
    floating* scratch,       # (n, 2 L + LK)
    Network net,
    Py_ssize_t n,
) noexcept nogil:
    """One step, its outputs h2_t = f_out(a2_t) and its states without padding"""
    cdef:
        Py_ssize_t M = net.M, K = net.K, L = net.L, LK = net.LK, i
        floating* h_prev = scratch
        floating* h_t = scratch + n * L
        floating* z = h_t + n * L
        unsigned long long mode = flush_denormals()
    # numbers between the rows are multiplied by zeros, so they must be finite
    memset(h_prev, 0, n * L * sizeof(floating))
    for i in range(n):
        memcpy(h_prev + i * L, h + i * M, M * sizeof(floating))
    advance(h_t, z, x, <const floating*> h_prev, packed, net, n)
    output(z, LK, n, K, net.f_out)
    for i in range(n):
        memcpy(h_new + i * M, h_t + i * L, M * sizeof(floating))
        memcpy(out + i * K, z + i * LK, K * sizeof(floating))
    restore_mode(mode)


cdef bint all_finite(const floating* v, Py_ssize_t n) noexcept nogil:
    """Without an early end, so that the loop can be vectorised"""
    cdef Py_ssize_t i
    cdef int odd = 0
    for i in range(n):
        odd += not v[i] - v[i] == 0
    return odd == 0


cdef bint take(Py_buffer* view, object array, int flags, Py_ssize_t columns, char code) except -1:
    """Look at an (n, columns) array; return whether it is one, of this kind of number"""
    try:
        PyObject_GetBuffer(array, view, flags | PyBUF_FORMAT)
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

    cdef:
        Network net
        Parameters parameters
        object empty, dtype, one_out, one_h  # the last two: what empty takes for n = 1
        Py_buffer theta                      # the parameters, as they are now
        void* memory
        void* packed                         # in memory: as they were when they were packed,
        void* seen                           # from these values
        bint single, holds_theta

    def __cinit__(self, Network net, Parameters parameters, object empty, object dtype):
        cdef Py_ssize_t n_bytes = packed_size(net) * net.itemsize
        self.net, self.parameters, self.empty, self.dtype = net, parameters, empty, dtype
        self.one_out, self.one_h = ((1, net.K), dtype), ((1, net.M), dtype)
        self.single = net.itemsize == sizeof(float)
        PyObject_GetBuffer(parameters.theta, &self.theta, PyBUF_CONTIG_RO)
        self.holds_theta = True
        if self.theta.itemsize != net.itemsize or self.theta.len != net.P * net.itemsize:
            raise ValueError("the parameters are not those of the network")
        self.memory = PyMem_Malloc(LINE + n_bytes + self.theta.len)
        if self.memory == NULL:
            raise MemoryError
        self.packed = <void*> (((<uintptr_t> self.memory) // LINE + 1) * LINE)
        self.seen = <char*> self.packed + n_bytes
        self._pack()

    def __dealloc__(self):
        PyMem_Free(self.memory)
        if self.holds_theta:
            PyBuffer_Release(&self.theta)

    cdef void _pack(self) noexcept:
        memcpy(self.seen, self.theta.buf, self.theta.len)
        if self.single:
            lay_out(<float*> self.packed, <const float*> self.seen, self.net)
        else:
            lay_out(<double*> self.packed, <const double*> self.seen, self.net)

    def step(self, x, h):
        """Take one step.

        Parameters
        ----------
        x : (n, D) array of the network's precision, C-contiguous
        h : (n, M) likewise

        Returns
        -------
        (out, h_new) : (n, K) and (n, M) arrays; or None, where x or h is not as described or not
            finite.
        """
        cdef:
            Network net = self.net
            Py_buffer of_x, of_h, of_out, of_h_new
            char code = b"f" if self.single else b"d"
            Py_ssize_t n, size
            char on_stack[ON_STACK]
            void* scratch = on_stack
            bint finite = False
        if not take(&of_x, x, PyBUF_CONTIG_RO, net.D, code):
            return None
        if not take(&of_h, h, PyBUF_CONTIG_RO, net.M, code):
            PyBuffer_Release(&of_x)
            return None
        if self.parameters.shared and memcmp(self.seen, self.theta.buf, self.theta.len) != 0:
            self._pack()
        n = of_x.shape[0]
        if n == of_h.shape[0] and n > 0:
            if self.single:
                finite = (all_finite(<const float*> of_x.buf, n * net.D)
                          and all_finite(<const float*> of_h.buf, n * net.M))
            else:
                finite = (all_finite(<const double*> of_x.buf, n * net.D)
                          and all_finite(<const double*> of_h.buf, n * net.M))
        if not finite:
            PyBuffer_Release(&of_x)
            PyBuffer_Release(&of_h)
            return None
        size = n * (2 * net.L + net.LK) * net.itemsize
        if size > ON_STACK:
            scratch = PyMem_Malloc(size)
        try:
            if scratch == NULL:
                raise MemoryError
            out = PyObject_CallObject(
                self.empty, self.one_out if n == 1 else ((n, net.K), self.dtype)
            )
            h_new = PyObject_CallObject(
                self.empty, self.one_h if n == 1 else ((n, net.M), self.dtype)
            )
            PyObject_GetBuffer(out, &of_out, PyBUF_CONTIG)
            PyObject_GetBuffer(h_new, &of_h_new, PyBUF_CONTIG)
            require_size(&of_out, n * net.K * net.itemsize)
            require_size(&of_h_new, n * net.M * net.itemsize)
            if self.single:
                step(<float*> of_out.buf, <float*> of_h_new.buf, <const float*> of_x.buf,
                     <const float*> of_h.buf, <const float*> self.packed, <float*> scratch, net,
                     n)
            else:
                step(<double*> of_out.buf, <double*> of_h_new.buf, <const double*> of_x.buf,
                     <const double*> of_h.buf, <const double*> self.packed, <double*> scratch,
                     net, n)
            if self.single:
                finite = all_finite(<const float*> of_out.buf, n * net.K)
            else:
                finite = all_finite(<const double*> of_out.buf, n * net.K)
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
            if size > ON_STACK:
                PyMem_Free(scratch)


cdef void lay_out(
    floating* packed,       # OUT (packed_size,)
    const floating* theta,  # IN  (P,)
    Network net,
) noexcept nogil:
    """The parameters as `advance` reads them"""
    cdef Py_ssize_t D = net.D, M = net.M, K = net.K, L = net.L, LK = net.LK
    cdef floating* p = packed
    memset(p, 0, (L + LK) * sizeof(floating))
    memcpy(p, theta + net.bias_h, M * sizeof(floating))
    memcpy(p + L, theta + net.bias_o, K * sizeof(floating))
    p += L + LK
    pack_matrix(p, theta + net.weight_ih, D, M, True)
    pack_matrix(p + D * L, theta + net.weight_hh, M, M, True)
    pack_matrix(p + (D + M) * L, theta + net.weight_ho, M, K, True)


cpdef Py_ssize_t packed_size(Network net):
    """Numbers that `pack` writes."""
    return net.L + net.LK + (net.D + net.M) * net.L + net.M * net.LK


def pack(floating[::1] packed, const floating[::1] theta, Network net):
    """Lay out the parameters (P,) for `cbptt._rollout`; packed is (packed_size,)."""
    if (net.itemsize != sizeof(floating) or packed.shape[0] != packed_size(net)
            or theta.shape[0] != net.P):
        raise ValueError("packed or theta is not of the network's sizes")
    lay_out(&packed[0], &theta[0], net)
