/// Writes JSON with the keys in the order in which they were encoded, so that the same record always gives the same text and the text reads from the
/// most to the least important. (The standard encoder offers alphabetical order or none.)
///
/// Objects whose members are all numbers or short texts stand on one line when they fit; dictionaries are sorted by key.
public enum RecordEncoder {
    /// The widest line that an object or list may be put on.
    static let lineWidthMax = 120

    /// - Throws: `EncodingError` when a number is not finite: JSON cannot say that, and a record must not guess.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let node = Node()
        try fill(node, with: value, path: [])
        var text = ""
        node.write(to: &text, indent: 0)
        text.append("\n")
        return Array(text.utf8)
    }

    fileprivate static func fill(_ node: Node, with value: some Encodable, path: [any CodingKey]) throws {
        try value.encode(to: NodeEncoder(node: node, codingPath: path))
        if value is any SortedByKey { node.sortMembers() }
        if case .empty = node.content { node.content = .members([]) }
    }
}

/// A dictionary has no order of its own: its keys are sorted.
private protocol SortedByKey {}
extension Dictionary: SortedByKey {}

private final class Node {
    enum Content {
        case empty
        case scalar(String)
        case elements([Node])
        case members([(key: String, node: Node)])
    }

    var content = Content.empty

    func member(_ key: String) -> Node {
        let node = Node()
        if case .members(var members) = content {
            content = .empty
            members.append((key, node))
            content = .members(members)
        } else {
            content = .members([(key, node)])
        }
        return node
    }

    func element() -> Node {
        let node = Node()
        if case .elements(var elements) = content {
            content = .empty
            elements.append(node)
            content = .elements(elements)
        } else {
            content = .elements([node])
        }
        return node
    }

    var elementCount: Int {
        if case .elements(let elements) = content { elements.count } else { 0 }
    }

    func becomeObject() { if case .empty = content { content = .members([]) } }
    func becomeArray() { if case .empty = content { content = .elements([]) } }

    func sortMembers() {
        if case .members(let members) = content { content = .members(members.sorted { $0.key < $1.key }) }
    }

    /// The whole value on one line, or nil when it is nested or does not fit.
    func singleLine(widthMax: Int) -> String? {
        var text: String
        switch content {
        case .empty: text = "null"
        case .scalar(let scalar): return scalar
        case .elements(let nodes):
            text = "["
            for (index, node) in nodes.enumerated() {
                guard case .scalar(let scalar) = node.content, text.utf8.count < widthMax else { return nil }
                text += index == 0 ? scalar : ", " + scalar
            }
            text += "]"
        case .members(let members):
            text = "{"
            for (index, member) in members.enumerated() {
                guard case .scalar(let scalar) = member.node.content, text.utf8.count < widthMax else { return nil }
                text += (index == 0 ? "" : ", ") + quoted(member.key) + ": " + scalar
            }
            text += "}"
        }
        return text.utf8.count <= widthMax ? text : nil
    }

    func write(to text: inout String, indent: Int) {
        let isRoot = indent == 0
        if !isRoot, let line = singleLine(widthMax: RecordEncoder.lineWidthMax - indent) {
            text += line
            return
        }
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch content {
        case .empty, .scalar: text += singleLine(widthMax: .max) ?? "null"
        case .elements(let nodes):
            text += "["
            for (index, node) in nodes.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + inner
                node.write(to: &text, indent: indent + 2)
            }
            text += "\n" + outer + "]"
        case .members(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                text += (index == 0 ? "\n" : ",\n") + inner + quoted(member.key) + ": "
                member.node.write(to: &text, indent: indent + 2)
            }
            text += "\n" + outer + "}"
        }
    }
}

private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

private struct NodeEncoder: Encoder {
    let node: Node
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeObject()
        return KeyedEncodingContainer(Members<Key>(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeArray()
        return Elements(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { Scalar(node: node, codingPath: codingPath) }
}

private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.member(key.stringValue).content = .scalar("null") }

    func encode(_ value: some Encodable, forKey key: Key) throws {
        try RecordEncoder.fill(node.member(key.stringValue), with: value, path: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key]).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key]).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { NodeEncoder(node: node.member("super"), codingPath: codingPath) }
    func superEncoder(forKey key: Key) -> any Encoder {
        NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct Elements: UnkeyedEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey]
    var count: Int { node.elementCount }

    func encodeNil() { node.element().content = .scalar("null") }
    func encode(_ value: some Encodable) throws { try RecordEncoder.fill(node.element(), with: value, path: codingPath) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        NodeEncoder(node: node.element(), codingPath: codingPath).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        NodeEncoder(node: node.element(), codingPath: codingPath).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { NodeEncoder(node: node.element(), codingPath: codingPath) }
}

private struct Scalar: SingleValueEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey]

    func encodeNil() { node.content = .scalar("null") }
    func encode(_ value: Bool) { node.content = .scalar(value ? "true" : "false") }
    func encode(_ value: String) { node.content = .scalar(quoted(value)) }
    func encode(_ value: Float) throws { try encode(Double(value)) }

    func encode(_ value: Double) throws {
        guard value.isFinite else {
            let place = codingPath.map(\.stringValue).joined(separator: ".")
            throw EncodingError.invalidValue(
                value, EncodingError.Context(codingPath: codingPath, debugDescription: "\(place) is \(value), which JSON cannot hold"))
        }
        node.content = .scalar(value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)")
    }

    func encode(_ value: some FixedWidthInteger & Encodable) { node.content = .scalar(String(value)) }
    func encode(_ value: some Encodable) throws { try RecordEncoder.fill(node, with: value, path: codingPath) }
}
