import Bytes
import Multiformats
import TestSupport
import Testing

@Suite struct ProtobufTests {
    static func read(_ text: String, fieldsMax: Int = ProtobufReader.fieldsMaxDefault) throws -> [ProtobufField] {
        let bytes = hex(text)
        var reader = ProtobufReader(bytes.rawSpan, fieldsMax: fieldsMax)
        var fields: [ProtobufField] = []
        while let field = try reader.next() { fields.append(field) }
        return fields
    }

    /// The examples of the protobuf documentation, "Encoding": 150 in field 1, "testing" in field 2.
    @Test func examples() throws {
        #expect(try Self.read("089601") == [ProtobufField(number: 1, value: .varint(150))])
        let bytes = hex("120774657374696e67")
        var reader = ProtobufReader(bytes.rawSpan)
        let field = try #require(try reader.next())
        #expect(field == ProtobufField(number: 2, value: .bytes(2..<9)))
        #expect(try reader.text(field.bytes()) == "testing")
        #expect(try reader.next() == nil)
        var writer = ProtobufWriter()
        writer.appendVarint(150, field: 1)
        writer.append("testing", field: 2)
        #expect(hexText(writer.bytes) == "089601120774657374696e67")
    }

    @Test func everyWireType() throws {
        #expect(try Self.read("0d78563412" + "11efcdab8967452301") == [
            ProtobufField(number: 1, value: .fixed32(0x1234_5678)), ProtobufField(number: 2, value: .fixed64(0x0123_4567_89AB_CDEF)),
        ])
        // Ten bytes, as negative numbers take; and a form that is longer than need be.
        #expect(try Self.read("08ffffffffffffffffff01") == [ProtobufField(number: 1, value: .varint(.max))])
        #expect(try Self.read("08808000") == [ProtobufField(number: 1, value: .varint(0))])
        #expect(try Self.read("f8ffffff0f01") == [ProtobufField(number: 1 << 29 - 1, value: .varint(1))])
    }

    static let refused: [(String, MultiformatError)] = [
        ("08", .truncated(.protobuf)), ("80", .truncated(.protobuf)), ("0880", .truncated(.protobuf)),
        ("0a", .truncated(.protobuf)), ("0a02ff", .truncated(.protobuf)), ("0d000000", .truncated(.protobuf)),
        ("0900000000000000", .truncated(.protobuf)), ("0affffffffffffffffff01", .truncated(.protobuf)),
        ("08ffffffffffffffffff02", .malformedVarint(.protobuf, .tooLong)), ("08ffffffffffffffffffff01", .malformedVarint(.protobuf, .tooLong)),
        ("0b", .unsupportedWireType(3)), ("0c", .unsupportedWireType(4)), ("0e", .unsupportedWireType(6)), ("0f", .unsupportedWireType(7)),
        ("0001", .invalidFieldNumber(0)), ("808080801001", .invalidFieldNumber(1 << 29)),
    ]

    @Test(arguments: refused)
    func refusals(text: String, error: MultiformatError) {
        #expect(throws: error) { try Self.read(text) }
    }

    @Test func fieldsAreCountedAndTyped() throws {
        #expect(try Self.read("080108010801", fieldsMax: 3).count == 3)
        #expect(throws: MultiformatError.tooManyFields(limit: 2)) { try Self.read("080108010801", fieldsMax: 2) }
        let field = ProtobufField(number: 3, value: .fixed32(1))
        #expect(throws: MultiformatError.wrongWireType(field: 3)) { try field.varint() }
        #expect(throws: MultiformatError.wrongWireType(field: 3)) { try field.bytes() }
        let bytes = hex("0a02c328")
        var reader = ProtobufReader(bytes.rawSpan)
        let range = try #require(try reader.next()).bytes()
        #expect(reader.array(range) == [0xC3, 0x28])
        let isSame = reader.bytes(range).equals(bytes.rawSpan.extracting(2..<4))
        #expect(isSame)
        do {
            _ = try reader.text(range)
            Issue.record("bytes that are no text were read as one")
        } catch {
            #expect(error == .notUTF8(.protobuf))
        }
    }

    @Test func fieldZeroIsAMistake() async {
        await #expect(processExitsWith: .failure) {
            var writer = ProtobufWriter()
            writer.appendVarint(1, field: 0)
        }
    }

    @Test(arguments: SeededGenerator.seeds(4)) func anythingComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var writer = ProtobufWriter()
            var expected: [(UInt32, String)] = []
            for _ in 0..<random.int(0...10) {
                let number = UInt32(random.next() >> UInt64(random.int(35...62)))
                guard number >= 1, number < 1 << 29 else { continue }
                let word = random.next() >> UInt64(random.int(0...63))
                switch random.int(0...3) {
                case 0:
                    writer.appendVarint(word, field: number)
                    expected.append((number, "varint \(word)"))
                case 1:
                    writer.appendFixed64(word, field: number)
                    expected.append((number, "fixed64 \(word)"))
                case 2:
                    writer.appendFixed32(UInt32(truncatingIfNeeded: word), field: number)
                    expected.append((number, "fixed32 \(UInt32(truncatingIfNeeded: word))"))
                default:
                    let bytes = random.bytes(random.size(upTo: 300))
                    writer.append(bytes, field: number)
                    expected.append((number, "bytes \(hexText(bytes))"))
                }
            }
            let message = writer.bytes
            var reader = ProtobufReader(message.rawSpan)
            var found: [(UInt32, String)] = []
            while let field = try reader.next() {
                switch field.value {
                case .varint(let value): found.append((field.number, "varint \(value)"))
                case .fixed64(let value): found.append((field.number, "fixed64 \(value)"))
                case .fixed32(let value): found.append((field.number, "fixed32 \(value)"))
                case .bytes(let range): found.append((field.number, "bytes \(hexText(reader.array(range)))"))
                }
            }
            #expect(found.elementsEqual(expected) { $0 == $1 })
        }
    }
}
