"""How batches are cut into parts, and where everything of a part lies in work memory."""

from libc.limits cimport INT_MAX

from cbptt._kernels cimport SOFTMAX, padded
from cbptt._packing cimport longest, sort_by_length

cdef extern from "guard.h" nogil:
    enum:
        GAP "CBPTT_GAP"
    void forbid "cbptt_forbid"(void* memory, size_t size)

READOUTS = {"every": <int> EVERY, "last": <int> LAST, "mean": <int> MEAN, "max": <int> MAX}

cdef:
    # Rows of a chunk: a sum of products that long still adds up well, and a chunk's h and da stay
    # in the second-level cache. BLAS, which takes over for large networks, wants longer sums.
    # A short batch has shorter chunks, which would otherwise take more memory than h.
    Py_ssize_t CHUNK = 384, CHUNK_BLAS = 1024, SHORTEST_CHUNK = 128
    # Up to so many units the kernels take all products; above, BLAS takes those that time does
    # not couple. Inputs up to so many join the recurrent product step by step.
    Py_ssize_t MOST_UNITS = 384, MOST_INPUTS = 256
    # The cut into parts: at most so many, each of so many sequences and operations at least; of
    # more sequences where W11 comes from far, and of fewer where a batch falls into two.
    Py_ssize_t MOST_PARTS = 8, PART_ROWS = 12, PART_ROWS_LARGE = 32, FEWEST_ROWS = 8
    double PART_FLOPS = 5e7
    # Sequences that prediction runs through the steps together.
    Py_ssize_t GROUP = 64


cdef class _Arena:
    """Hands out places in a block of memory that is allocated later, each at a line's beginning.

    In a build with AddressSanitizer there is a gap behind each array, see `guard`.
    """

    def __init__(self, Py_ssize_t itemsize):
        self.itemsize, self.gaps = itemsize, []

    cdef Py_ssize_t room(self, Py_ssize_t n):
        cdef Py_ssize_t place = self.size
        self.size += padded(n, self.itemsize)
        if GAP > 0:
            self.gaps.append(self.size * self.itemsize)
            self.size += GAP // self.itemsize
        return place


def guard(unsigned char[:, ::1] blocks, list gaps):
    """Make every access to the gaps of some blocks an error; for builds with AddressSanitizer

    Parameters
    ----------
    blocks : (n, bytes of a block) uint8 memoryview
    gaps : list of the byte of a block at which a gap begins
    """
    cdef Py_ssize_t i, gap
    for gap in gaps:
        if not 0 <= gap <= blocks.shape[1] - GAP:
            raise ValueError(f"a gap at byte {gap} of {blocks.shape[1]}")
        for i in range(blocks.shape[0]):
            forbid(&blocks[i, gap], GAP)


cdef class Network:
    """The sizes, functions and parameters of a network, as the compiled code sees them.

    Parameters
    ----------
    D, M, K, P : int
        Inputs, hidden units, outputs, and numbers in theta.
    places : dict of the parameters' names to where they begin in theta
        Without "initial_state" h_0 is 0 where it is not given.
    f, f_out, loss, readout : int
        Codes of the hidden activation, the output function, the loss and the readout.
    itemsize : int
        Bytes of a number.
    own : bool
        Whether the package's kernels take the recurrent product, else BLAS.

    Raises
    ------
    ValueError
        For sizes, places or codes that no network has.

    Attributes
    ----------
    packed_size, sums_size : int
        Numbers that the parameters take as the products want them, and sums in double.
    uses_blas : bool
        Whether BLAS takes any product of a batch, but that for dL/dx.
    """

    def __cinit__(
        self, Py_ssize_t D, Py_ssize_t M, Py_ssize_t K, Py_ssize_t P, dict places, int f, int f_out,
        int loss, int readout, Py_ssize_t itemsize, bint own,
    ):
        sizes = {
            "weight_ih": M * D, "bias_h": M, "weight_hh": M * M, "weight_ho": K * M, "bias_o": K,
            "initial_state": M,
        }
        if min(D, M, K) < 1 or max(D, M, K) > INT_MAX or itemsize not in (4, 8):
            raise ValueError(f"a network of {D}, {M}, {K} units and {itemsize} bytes a number")
        if not (0 <= f < SOFTMAX and 0 <= f_out <= SOFTMAX and EVERY <= readout <= MAX):
            raise ValueError(f"a network of the codes {f}, {f_out}, {readout}")
        for name, size in sizes.items():
            if not 0 <= places.get(name, 0) <= P - size:
                raise ValueError(f"{name} lies outside of the {P} numbers of theta")
        self.D, self.M, self.K, self.P, self.itemsize = D, M, K, P, itemsize
        self.L, self.LK = padded(M, itemsize), padded(K, itemsize)
        self.weight_ih, self.bias_h = places["weight_ih"], places["bias_h"]
        self.weight_hh = places["weight_hh"]
        self.weight_ho, self.bias_o = places["weight_ho"], places["bias_o"]
        self.initial_state = places.get("initial_state", -1)
        self.f, self.f_out, self.loss, self.readout = f, f_out, loss, readout
        self.pooled = readout == MEAN or readout == MAX
        self.own = own
        self.folded = own and D <= MOST_INPUTS
        self.small = self.folded and M <= MOST_UNITS and K <= MOST_INPUTS
        self.uses_blas = not self.small
        self.chunk = CHUNK if self.small else CHUNK_BLAS

        arena = _Arena(itemsize)
        self.bias_h_row = arena.room(self.L)
        self.bias_o_row = arena.room(self.LK)
        self.ih = arena.room(D * self.L if self.folded else 0)
        self.hh = arena.room(M * self.L if own else 0)
        self.hh_back = arena.room(M * self.L if own else 0)
        self.oh = arena.room(M * self.LK if self.small else 0)
        self.ho_back = arena.room(K * self.L if self.small else 0)
        self.packed_size, self.packed_gaps = arena.size, arena.gaps
        self.sums_size = 2 * M + K


cdef class Plan:
    """How batches of a network are cut, and where each array of a part lies in scratch.

    Parameters
    ----------
    net : Network
    lengths : (n,) intp
        Steps that are run at a time of the sequences that batches are drawn from, longest first.
    ragged : bool
        Whether some sequences of a batch may end before others do.
    batch_size : int
        Sequences of a batch; the last of an epoch may have fewer.
    keeps_states : bool
        Whether h of all steps is kept, to go back through them (`train`), or only that of a chunk
        of steps (`forward`).
    masked : bool
        Whether there is room for dropout in the recurrence.
    checkpoint : int
        Steps of a segment, of which h is kept while the others are computed again when they are
        gone back through, at most those of the longest sequence; 0 keeps all. A segment has whole
        chunks, one at least.
    any_size : bool
        Whether batches may have any number of sequences up to batch_size: those of later windows
        are without the sequences that are over.

    Attributes
    ----------
    n_parts : int
        Of a full batch: shards where states are kept, groups elsewhere.
    n_rows : int
        Steps of the largest part, all its sequences together.
    block_size, index_size, order_size : int
        Of scratch. Each thread needs block (block_size,) and indices (index_size,); a batch needs
        batch_order (order_size,).
    """

    def __cinit__(
        self, Network net, const Py_ssize_t[::1] lengths, bint ragged, Py_ssize_t batch_size,
        bint keeps_states, bint masked=False, Py_ssize_t checkpoint=0, bint any_size=False,
    ):
        cdef Py_ssize_t b, B = 0, N = 0, C, R, S, T, n_chunks, n_segments = 1
        cdef bint every = net.readout == EVERY
        if not 1 <= batch_size <= lengths.shape[0] or checkpoint < 0:
            raise ValueError(
                f"batches of {batch_size} of {lengths.shape[0]} sequences, checkpoint {checkpoint}"
            )
        T = lengths[0]
        for b in range(lengths.shape[0]):
            if not 1 <= lengths[b] <= T:
                raise ValueError("lengths must be at least 1, and the longest comes first")
        self.net, self.keeps_states, self.masked, self.ragged = net, keeps_states, masked, ragged
        self.batch_size, self.checkpoint = batch_size, checkpoint
        self.part_rows = PART_ROWS if net.small else PART_ROWS_LARGE
        for b in range(lengths.shape[0]):
            self.sequence_flops += lengths[b]
        self.sequence_flops *= (6. * net.M * net.M + 4. * net.D * net.M) / lengths.shape[0]

        # The largest part of a batch: of so many sequences, steps and rows that are read. Batches
        # are full, but for the last of an epoch.
        for b in (batch_size, lengths.shape[0] % batch_size):
            B = max(B, (b + self.parts_of(b) - 1) // self.parts_of(b))
        for b in range(B):
            N += lengths[b]
        # Before it is known whether they have any size, so that one window of all steps has the
        # chunks, and the bits, of no windows.
        self.chunk = min(net.chunk, max(SHORTEST_CHUNK, N // 4))
        # Fewer sequences may fall into fewer parts, and so into larger ones.
        for b in range(1, batch_size if any_size else 1):
            B = max(B, (b + self.parts_of(b) - 1) // self.parts_of(b))
        N = 0
        for b in range(B):
            N += lengths[b]
        C = min(N, max(self.chunk, B))
        R = C if every else B
        self.n_parts, self.n_rows = self.parts_of(batch_size), N
        self.B, self.T, self.N = B, T, N

        # Two chunks side by side have more rows than one may have, two segments more steps.
        n_chunks = min(T, 2 * N // self.chunk + 1)
        S = N if keeps_states else C
        if keeps_states and checkpoint > 0:
            n_segments = min(n_chunks, 2 * T // checkpoint + 1)
            S = min(N, max(C, checkpoint * B))

        arena = _Arena(net.itemsize)
        self.states = arena.room((B + S) * net.L)
        self.x = arena.room(S * net.D)
        self.z = arena.room(R * net.LK)
        self.h_read = arena.room(0 if every and keeps_states else B * net.L)
        # sums in double, or largest values
        self.sums = arena.room(B * net.L * (8 // net.itemsize) if net.pooled else 0)
        if keeps_states:
            self.weight = arena.room(R)
            self.dz = arena.room(R * net.LK)
            self.dh_read = arena.room(
                B * net.L if net.pooled or (net.readout == LAST and not net.small) else 0
            )
            self.inner = arena.room((B + S) * net.L if masked else 0)
            self.mask = arena.room(B * net.L if masked else 0)
            self.dh_inner = arena.room(B * net.L if masked else 0)
            self.kept = arena.room((n_segments - 1) * B * net.L)
            self.da = arena.room(C * net.L)
            self.da_after = arena.room(B * net.L)
            self.left = arena.room(max(C * net.L, R * net.LK) if net.small else 0)
            self.right = arena.room(max(C, R) * net.L if net.small or ragged else 0)
            self.inputs = arena.room(C * padded(net.D + 1, net.itemsize) if net.small else 0)
            self.dinputs = arena.room((net.D + 1) * net.L if net.small else 0)
        self.block_size, self.block_gaps = arena.size, arena.gaps

        arena = _Arena(sizeof(Py_ssize_t))
        self.order = arena.room(B)
        self.ends = arena.room(B)
        self.batch_sizes = arena.room(T)
        self.rows = arena.room(N)
        self.cuts = arena.room(n_chunks + 1)
        self.segments = arena.room(n_segments + 1)
        self.index_size, self.index_gaps = arena.size, arena.gaps
        self.order_size = HEAD + batch_size

    cdef Py_ssize_t parts_of(self, Py_ssize_t B) noexcept nogil:
        """Into how many parts a batch of B sequences falls, by a rule that knows no threads"""
        cdef Py_ssize_t parts = 1
        cdef Py_ssize_t most = min(B // self.part_rows, MOST_PARTS)
        if most < 2 and self.keeps_states:
            most = min(B // FEWEST_ROWS, 2)
        while 2 * parts <= most and B * self.sequence_flops >= 2 * parts * PART_FLOPS:
            parts *= 2
        if not self.keeps_states:
            parts = max(parts, (B + GROUP - 1) // GROUP)
        return parts

    cdef bint lay_out(
        self,
        Py_ssize_t* batch_order,    # OUT (order_size,)
        Py_ssize_t* indices,        # scratch (index_size,)
        const Py_ssize_t* ids,      # IN  (B,)     the batch's sequences
        const Py_ssize_t* starts,   # IN  (n,)
        const Py_ssize_t* stops,    # IN  (n,)
        Py_ssize_t B,
    ) noexcept nogil:
        """Sort a batch by length and cut it into parts; False where it does not fit the plan

        A part may have at most the sequences, steps and rows that its memory was allocated for, and
        unequal lengths only where it was for those.
        """
        cdef Py_ssize_t T = longest(ids, B, starts, stops), parts, part, first, end, stride, i, N
        if B > self.batch_size or T > self.T:
            return False
        parts = self.parts_of(B)
        batch_order[SIZE] = B
        batch_order[PARTS] = parts
        sort_by_length(batch_order + HEAD, indices + self.batch_sizes, indices + self.rows, ids,
                       starts, stops, B, T)
        if parts > self.n_parts or (not self.ragged and indices[self.batch_sizes + T - 1] < B):
            return False
        for part in range(parts):
            if self.keeps_states:
                first, end, stride = part, B, parts
            else:
                first, end, stride = B * part // parts, B * (part + 1) // parts, 1
            N = 0
            i = first
            while i < end:
                N += stops[batch_order[HEAD + i]] - starts[batch_order[HEAD + i]]
                i += stride
            if N > self.N or (end - first + stride - 1) // stride > self.B:
                return False
        return True

    cdef Py_ssize_t cut(
        self,
        Py_ssize_t* indices,        # INOUT (index_size,)  in: batch_sizes; out: cuts and segments
        Py_ssize_t T,
    ) noexcept nogil:
        """Cut a shard's steps into chunks, and those into segments; return how many segments

        Both from the end: chunk c has the steps cuts[c]..cuts[c + 1] - 1, and segment s the chunks
        segments[s]..segments[s + 1] - 1.
        """
        cdef const Py_ssize_t* batch_sizes = indices + self.batch_sizes
        cdef Py_ssize_t* cuts = indices + self.cuts
        cdef Py_ssize_t* segments = indices + self.segments
        cdef Py_ssize_t t = T, n, c = 0, s = 0, end
        cuts[0] = T
        while t > 0:
            t -= 1
            n = batch_sizes[t]
            while t > 0 and n + batch_sizes[t - 1] <= self.chunk:
                t -= 1
                n += batch_sizes[t]
            c += 1
            cuts[c] = t
        reverse(cuts, c + 1)

        segments[0] = c
        while c > 0:
            end = cuts[c]
            c -= 1
            while c > 0 and (self.checkpoint == 0 or end - cuts[c - 1] <= self.checkpoint):
                c -= 1
            s += 1
            segments[s] = c
        reverse(segments, s + 1)
        return s


cdef void reverse(Py_ssize_t* v, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n // 2):
        v[i], v[n - 1 - i] = v[n - 1 - i], v[i]
