"""The bytes of a run: a function of seed, connection, stream, direction and position (../README.md, "Payload")."""

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
PIECE = 65_536
TABLE = 131_072
# One message in so many is compared, the first of each stream always.
SAMPLE = 64
# Pieces that are put together for one write when a message has more than one.
GROUP = 16


def mix(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31


def make_table(seed):
    state, out = seed, bytearray()
    for _ in range(TABLE // 8):
        state = (state + GOLDEN) & MASK
        out += mix(state).to_bytes(8, "little")
    return bytes(out)


def make_key(seed, connection, stream, down):
    key = mix(seed ^ 0x53475041594C4F41)
    key = mix(key ^ connection ^ (1 << 63 if down else 0))
    return mix(key ^ stream)


def start(key, piece):
    m = (key ^ piece * GOLDEN & MASK) * 0xBF58476D1CE4E5B9 & MASK
    m = (m ^ m >> 32) * 0x94D049BB133111EB & MASK
    return m >> 48 & 0xFFF8


class Source:
    """What one end sends on one stream."""

    __slots__ = ("table", "view", "key", "size", "pieces", "sent")

    def __init__(self, table, key, size):
        self.table = table
        self.view = memoryview(table)
        self.key = key
        self.size = size
        self.pieces = (size + PIECE - 1) // PIECE
        self.sent = 0

    async def send(self, write):
        """Writes the next message: in one write when it is one piece, in as few as make sense otherwise."""
        size = self.size
        if self.pieces == 1:
            m = (self.key ^ self.sent * GOLDEN & MASK) * 0xBF58476D1CE4E5B9 & MASK
            m = (m ^ m >> 32) * 0x94D049BB133111EB & MASK
            at = m >> 48 & 0xFFF8
            # The multiplexers put a header in front, which copies; a small slice of bytes is cheaper to make than a view.
            await write(self.table[at : at + size] if size <= 4096 else self.view[at : at + size])
        else:
            first = self.sent * self.pieces
            for group in range(0, self.pieces, GROUP):
                parts = []
                for piece in range(group, min(group + GROUP, self.pieces)):
                    at = start(self.key, first + piece)
                    parts.append(self.view[at : at + min(PIECE, size - piece * PIECE)])
                await write(b"".join(parts))
        self.sent += 1


class Sink:
    """What one end receives on one stream. Sampled messages are compared as they come, all others are only counted."""

    __slots__ = ("table", "key", "size", "pieces", "position", "check_at", "verified", "differs")

    def __init__(self, table, key, size):
        self.table = table
        self.key = key
        self.size = size
        self.pieces = (size + PIECE - 1) // PIECE
        self.position = 0
        # The next byte to compare; everything before it is done or not sampled.
        self.check_at = 0
        self.verified = 0
        # The position of the first byte that is not what it has to be.
        self.differs = None

    def take(self, data):
        begin = self.position
        self.position = end = begin + len(data)
        if end > self.check_at:
            self._compare(data, begin, end)

    def _compare(self, data, begin, end):
        while self.check_at < end:
            at = self.check_at
            message, offset = divmod(at, self.size)
            piece, within = divmod(offset, PIECE)
            length = min(end - at, min(PIECE, self.size - piece * PIECE) - within)
            where = start(self.key, message * self.pieces + piece) + within
            received, expected = data[at - begin : at - begin + length], self.table[where : where + length]
            if received != expected and self.differs is None:
                self.differs = at + next(index for index in range(length) if received[index] != expected[index])
            if offset + length == self.size:
                self.verified += 1
                self.check_at = (message + SAMPLE) * self.size
            else:
                self.check_at = at + length

    @property
    def messages(self):
        return self.position // self.size
