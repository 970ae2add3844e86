import Bytes
import Multiformats
import Testing

@Suite struct ProtocolIDTests {
    @Test(arguments: ["/multistream/1.0.0", "/", "/ipfs/ping/1.0.0", "/ü", "/" + String(repeating: "a", count: 1022)])
    func idsGoThereAndBack(text: String) throws {
        let id = try ProtocolID(text)
        #expect(id.description == text)
        #expect(try ProtocolID(bytes: id.utf8.rawSpan) == id)
    }

    @Test(arguments: [
        ("", MultiformatError.emptyProtocolID), ("yamux", .protocolIDWithoutSlash), ("/a\n", .protocolIDWithNewline), ("/\n/", .protocolIDWithNewline),
        ("/" + String(repeating: "a", count: 1023), .tooLarge(.protocolID, byteCount: 1024, limitBytes: 1023)),
    ])
    func refusals(text: String, error: MultiformatError) {
        #expect(throws: error) { try ProtocolID(text) }
        let bytes = Array(text.utf8)
        #expect(throws: error) { try ProtocolID(bytes: bytes.rawSpan) }
        #expect(!error.description.isEmpty)
    }

    @Test func bytesMustBeText() {
        let bytes: [UInt8] = [0x2F, 0xC3, 0x28]
        #expect(throws: MultiformatError.notUTF8(.protocolID)) { try ProtocolID(bytes: bytes.rawSpan) }
    }

    @Test func idsAreTheirBytes() {
        // One letter, written in two ways.
        #expect("/\u{E9}" as ProtocolID != "/e\u{301}")
        #expect(Set<ProtocolID>(["/a", "/a", "/b"]).count == 2)
    }

    @Test func literalsAreChecked() async {
        await #expect(processExitsWith: .failure) { _ = "no slash" as ProtocolID }
    }
}
