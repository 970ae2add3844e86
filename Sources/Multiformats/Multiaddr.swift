import Bytes

/// An address as libp2p writes it: a path of protocols, outermost first, `/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…` (multiformats/multiaddr; libp2p
/// specification "Addressing in libp2p").
///
/// An address has a text and a binary form, which hold the same. Text comes out in one form only, whatever came in. Components that are not known here are refused by
/// name or number: what follows one cannot be told apart.
///
/// Invariant: at least one component; every value is one that its component can have; a path is last; the binary form takes at most
/// ``byteCountMax`` bytes. So either form can be written and read again.
public struct Multiaddr: Hashable, Sendable {
    /// The longest binary form accepted. A relayed address with two peer IDs and two certificate hashes takes some 300 bytes; peers send addresses
    /// by the dozen, and each is kept.
    public static let byteCountMax = 2048

    /// From the outside in: address, port, what is spoken there, and at last who is there.
    public let components: [MultiaddrComponent]

    /// An address of components that the program chose; one that breaks the invariant is a mistake in it.
    public init(_ components: [MultiaddrComponent]) {
        do {
            try self.init(checking: components)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// - Throws: what breaks the invariant.
    public init(checking components: [MultiaddrComponent]) throws(MultiformatError) {
        guard !components.isEmpty else { throw .emptyMultiaddr }
        for component in components where !component.isValid { throw .badBytes(component: component.name) }
        for case .unix(let path) in components.dropLast() { throw .componentBehindPath(path) }
        let byteCount = components.reduce(0) { $0 + $1.byteCount }
        guard byteCount <= Self.byteCountMax else {
            throw .tooLarge(.multiaddr, byteCount: UInt64(byteCount), limitBytes: Self.byteCountMax)
        }
        self.components = components
    }

    /// The peer that the address leads to: the last `p2p` component's. In a relayed address those before it are the relays'.
    public var peerID: PeerID? {
        for case .p2p(let peerID) in components.reversed() { return peerID }
        return nil
    }

    /// This address with `inner` inside ("Composing multiaddrs", "Encapsulation").
    public func encapsulating(_ inner: Multiaddr) throws(MultiformatError) -> Multiaddr {
        try Multiaddr(checking: components + inner.components)
    }

    /// This address up to where `inner` occurs last, or as it is when it does not occur. Nil when nothing is left ("Decapsulation").
    public func decapsulating(_ inner: Multiaddr) -> Multiaddr? {
        let count = inner.components.count
        guard count <= components.count else { return self }
        for start in stride(from: components.count - count, through: 0, by: -1)
        where components[start..<start + count].elementsEqual(inner.components) {
            return start == 0 ? nil : Multiaddr(Array(components[..<start]))
        }
        return self
    }
}

// MARK: Text form

extension Multiaddr: CustomStringConvertible {
    /// The longest text that is looked at. Base 16, the widest way to write a value, takes two characters a byte.
    static let textByteCountMax = 4 * byteCountMax

    /// Parses the text form. Slashes at the end are ignored.
    public init(_ text: String) throws(MultiformatError) {
        guard text.utf8.count <= Self.textByteCountMax else {
            throw .tooLarge(.multiaddr, byteCount: UInt64(text.utf8.count), limitBytes: Self.textByteCountMax)
        }
        let slash = UInt8(ascii: "/")
        // By bytes: a character may be a slash with an accent on it.
        guard text.utf8.first == slash else { throw .noLeadingSlash(text) }
        var parts = text.utf8.dropFirst().split(separator: slash, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }[...]
        while parts.last == "" { parts.removeLast() }
        var components: [MultiaddrComponent] = []
        while let name = parts.popFirst() {
            guard let code = MultiaddrComponent.Code.named(name) else { throw .unknownComponent(name, in: text) }
            if let component = MultiaddrComponent(code) {
                components.append(component)
                continue
            }
            // A path is everything behind its name: it holds slashes of its own.
            let value = code == .unix ? parts.joined(separator: "/") : parts.first ?? ""
            parts = code == .unix ? [] : parts.dropFirst()
            guard !value.isEmpty else { throw .missingValue(component: name, in: text) }
            guard let component = MultiaddrComponent(code, text: code == .unix ? "/" + value : value) else {
                throw .badValue(component: name, value: value, in: text)
            }
            components.append(component)
        }
        try self.init(checking: components)
    }

    /// The text form.
    public var description: String { components.map(\.description).joined() }

    /// What can stand in an address, for people.
    static var knownNames: String { MultiaddrComponent.Code.allCases.map(\.name).joined(separator: ", ") }
}

// MARK: Binary form

extension Multiaddr {
    /// Decodes the binary form: for each component its code, for those of varying length a length, and the value.
    public init(bytes: RawSpan) throws(MultiformatError) {
        guard bytes.byteCount <= Self.byteCountMax else {
            throw .tooLarge(.multiaddr, byteCount: UInt64(bytes.byteCount), limitBytes: Self.byteCountMax)
        }
        var offset = 0
        var components: [MultiaddrComponent] = []
        while offset < bytes.byteCount {
            let number = try bytes.readVarint(&offset, of: .multiaddr)
            guard let code = MultiaddrComponent.Code(rawValue: number) else { throw .unknownComponentCode(number) }
            if let component = MultiaddrComponent(code) {
                components.append(component)
                continue
            }
            let byteCount = if let fixed = code.fixedByteCount { UInt64(fixed) } else { try bytes.readVarint(&offset, of: .multiaddr) }
            let value = try bytes.readRange(byteCount, &offset, of: .multiaddr)
            guard let component = MultiaddrComponent(code, bytes: bytes.extracting(value)) else { throw .badBytes(component: code.name) }
            components.append(component)
        }
        try self.init(checking: components)
    }

    /// The binary form.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for component in components { component.append(to: &bytes) }
        return bytes
    }
}
