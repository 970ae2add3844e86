import Bytes
import Ciphers

/// Gathers a record that was cut by the end of a read: each piece is decrypted into the carry block as it comes, so the bytes are moved by the cipher
/// itself.
///
/// Call order; each call takes what the read has of its part and moves the offset behind that:
///
/// 1. ``takeHeader(_:_:upTo:)`` until it says that the ``header`` is whole. The owner finds a length in it that it accepts.
/// 2. ``begin(length:)``.
/// 3. ``takeEncrypted(_:upTo:)``, whose range the owner decrypts into ``carry``, and ``takeTag(_:_:upTo:)``, until that says that the ``tag`` is whole.
/// 4. ``end()``. Only once the owner has found the tag right may it hand on what is in ``carry``.
///
/// Invariant: it is empty when no part of a record has come, and else `header`, `carry` and `tag` hold what has.
struct CutRecord: ~Copyable {
    /// The carry block begins with this much and grows as records need it: a connection that sees small records only stays small.
    static let carryBytesMin = 4096

    let header: Block
    let tag = Block(capacity: AEADKey.tagByteCount)
    /// What is encrypted of the record, decrypted.
    private(set) var carry = Block(capacity: 0)
    /// The carry of the record before, which its slice usually still holds when the next record begins, and no longer when the one after that does.
    private var spare: Block?
    private var headerCount = 0
    /// The length from the header: what is encrypted, and the tag; 0 before it is known.
    private var length = 0
    /// Of those, how many have come.
    private var count = 0

    init(headerByteCount: Int) { header = Block(capacity: headerByteCount) }

    var isEmpty: Bool { headerCount == 0 }
    /// Whether the header is whole and its length accepted.
    var isBegun: Bool { length > 0 }
    /// What has come.
    var byteCount: Int { headerCount + count }
    /// What is encrypted, without the tag.
    var encryptedCount: Int { length - AEADKey.tagByteCount }

    mutating func takeHeader(_ block: Block, _ offset: inout Int, upTo end: Int) -> Bool {
        let taken = min(header.capacity - headerCount, end - offset)
        header.copy(block.bytes(offset..<offset + taken), at: headerCount)
        headerCount += taken
        offset += taken
        return headerCount == header.capacity
    }

    mutating func begin(length: Int) {
        self.length = length
        // Whoever kept a slice of the last cut record keeps that block; the next needs another.
        if !isKnownUniquelyReferenced(&carry) { (carry, spare) = (spare ?? carry, carry) }
        guard !isKnownUniquelyReferenced(&carry) || carry.capacity < encryptedCount else { return }
        var capacity = Self.carryBytesMin
        while capacity < encryptedCount { capacity *= 2 }
        carry = Block(capacity: capacity)
    }

    /// The bytes of the read that are to be decrypted, and where in ``carry`` they belong; nil when there are none.
    mutating func takeEncrypted(_ offset: inout Int, upTo end: Int) -> (range: Range<Int>, position: Int)? {
        let taken = min(encryptedCount - count, end - offset)
        guard taken > 0 else { return nil }
        defer {
            count += taken
            offset += taken
        }
        return (offset..<offset + taken, count)
    }

    /// Takes nothing before all that is encrypted has come.
    mutating func takeTag(_ block: Block, _ offset: inout Int, upTo end: Int) -> Bool {
        let taken = min(length - count, end - offset)
        if taken > 0 {
            tag.copy(block.bytes(offset..<offset + taken), at: count - encryptedCount)
            count += taken
            offset += taken
        }
        return count == length
    }

    mutating func end() {
        headerCount = 0
        length = 0
        count = 0
    }
}
