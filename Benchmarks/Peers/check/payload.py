"""The payload of a run as the contract defines it (../README.md, "Payload"), written for the checker alone."""

U64 = 2**64 - 1
PIECE = 65_536


def mix(v):
    v = ((v ^ (v >> 30)) * 0xBF58476D1CE4E5B9) & U64
    v = ((v ^ (v >> 27)) * 0x94D049BB133111EB) & U64
    return v ^ (v >> 31)


class Payload:
    """All bytes of a run."""

    def __init__(self, seed):
        self.seed = seed
        words = (mix((seed + n * 0x9E3779B97F4A7C15) & U64) for n in range(1, 16_385))
        self.table = b"".join(word.to_bytes(8, "little") for word in words)

    def key(self, connection, stream, down):
        k = mix(self.seed ^ 0x53475041594C4F41)
        k = mix(k ^ connection ^ ((1 << 63) if down else 0))
        return mix(k ^ stream)

    def start(self, key, piece):
        m = ((key ^ ((piece * 0x9E3779B97F4A7C15) & U64)) * 0xBF58476D1CE4E5B9) & U64
        m = ((m ^ (m >> 32)) * 0x94D049BB133111EB) & U64
        return (m >> 48) & 0xFFF8

    def message(self, key, number, size):
        pieces = -(-size // PIECE)
        parts = []
        for index in range(pieces):
            at = self.start(key, number * pieces + index)
            parts.append(self.table[at : at + min(PIECE, size - index * PIECE)])
        return b"".join(parts)
