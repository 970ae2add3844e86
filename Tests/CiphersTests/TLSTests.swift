import Bytes
@testable import Ciphers
import Foundation
import Testing

/// Certificates that others made: those of libp2p's specification, and some for each rule.
struct CertificateVectors: Decodable {
    struct Certificate: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let certificate: String
        let peerID: String?
        let fault: String?

        var testDescription: String { name }
        var der: [UInt8] { hex(certificate) }
    }

    let specification: [Certificate]
    let accepted: [Certificate]
    let refused: [Certificate]

    static func read() -> CertificateVectors {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        guard let data = try? Data(contentsOf: folder.appending(path: "Vectors/tls-certificates.json")),
            let vectors = try? JSONDecoder().decode(CertificateVectors.self, from: data) else { preconditionFailure("no certificates") }
        return vectors
    }
}

@Suite struct TLSCertificateTests {
    /// 2030.
    private static let then: Int64 = 1_900_000_000

    private func read(_ der: [UInt8], at time: Int64 = then) throws(TLSCertificateFault) -> TLSPeerCertificate {
        try TLSPeerCertificate(der: der.rawSpan, time: time)
    }

    private func fault(_ der: [UInt8], at time: Int64 = then) -> TLSCertificateFault? {
        do throws(TLSCertificateFault) { _ = try read(der, at: time) } catch { return error }
        return nil
    }

    /// What the certificates are made of is right in all four; whose they are is checked elsewhere.
    @Test func specification() throws {
        let vectors = CertificateVectors.read()
        #expect(vectors.specification.count == 4)
        for vector in vectors.specification {
            let certificate = try read(vector.der)
            #expect(certificate.signedKey.first == 0x30 && certificate.subjectPublicKeyInfo.count == 91)
        }
    }

    @Test(arguments: CertificateVectors.read().accepted) func accepted(vector: CertificateVectors.Certificate) throws {
        #expect(try read(vector.der).signedKey == hex("3006040101040102"))
    }

    @Test(arguments: CertificateVectors.read().refused) func refused(vector: CertificateVectors.Certificate) throws {
        let faults: [String: TLSCertificateFault] = [
            "keyRefused": .keyRefused, "selfSignature": .selfSignature, "extensionMissing": .extensionMissing, "keyUsage": .keyUsage,
            "extensionRepeated": .extensionRepeated, "notVersion3": .notVersion3, "uniqueIdentifier": .uniqueIdentifier,
            "criticalExtension": .criticalExtension(oid: vector.name == "notca" ? "2.5.29.37" : "1.2.3.4"),
        ]
        let expected = try #require(vector.fault.flatMap { faults[$0] })
        #expect(fault(vector.der) == expected)
    }

    /// The specification's are valid from 1975 to 4096.
    @Test func validity() throws {
        let der = try #require(CertificateVectors.read().specification.first).der
        let (from, to): (Int64, Int64) = (157_813_200, 67_090_165_200)
        #expect(fault(der, at: from - 1) == .notYetValid)
        #expect(fault(der, at: from + 1) == nil && fault(der, at: to - 1) == nil)
        #expect(fault(der, at: to + 1) == .expired)
    }

    @Test func everyByteChanged() throws {
        let vector = try #require(CertificateVectors.read().accepted.first)
        let honest = try read(vector.der)
        for offset in vector.der.indices {
            var der = vector.der
            der[offset] ^= 0x01
            let changed = try? read(der)
            #expect(changed == nil || changed == honest, "byte \(offset)")
        }
        #expect(fault([]) == .malformed && fault(vector.der + [0]) == .malformed && fault(Array(vector.der.dropLast())) == .malformed)
    }

    @Test func ownCertificatesKeepTheRules() throws {
        let key = try TLSCertificateKey()
        #expect(key.subjectPublicKeyInfo.count == 91)
        _ = try TLSContext(key, signedKey: [1, 2, 3])
    }
}

@Suite struct TLSTrafficKeyTests {
    private func key(_ suite: TLSCipherSuite, _ secret: String) throws -> TLSTrafficKey {
        let bytes = hex(secret)
        return try TLSTrafficKey(suite, secret: Secret(copying: bytes.rawSpan))
    }

    /// RFC 8448, section 3: the client's last two records.
    @Test func clientsRecords() throws {
        let secret = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
        let data = hex(
            """
            1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4
            """)
        let farewell = hex("1703030013c9872760655666b74d7ff1153efd6db6d0b0e3")
        var sending = try key(.aes128GCM, secret)
        var gather = Gather()
        gather.endFrame(tag: 0, payload: Slice(copying: Array(0..<50)))
        let block = Block(capacity: 100)
        var cursor = Gather.Cursor()
        try sending.seal(&gather, from: &cursor, byteCount: 50, into: block, at: 20)
        let last = try sending.seal([1, 0], .alert)
        let sealed = block.bytes(20..<20 + 50 + TLSTrafficKey.overheadByteCount).array()
        #expect(sealed == data && last == farewell)

        var receiving = try key(.aes128GCM, secret)
        let inner = receiving.open(block, 20..<20 + data.count) ?? 0..<0
        let content = try #require(TLSTrafficKey.content(of: block, inner))
        let plaintext = block.bytes(content.range).array()
        #expect(content.type == TLSContentType.applicationData.rawValue && plaintext == Array(0..<50))
    }

    /// RFC 8448, section 3: the server's key and nonce.
    @Test func keysOfTheServer() throws {
        let bytes = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
        let secret = Secret(copying: bytes.rawSpan)
        let key = try KeySchedule.expand(.aes128GCM, secret, label: "key", byteCount: 16)
        let nonce = try KeySchedule.expand(.aes128GCM, secret, label: "iv", byteCount: 12)
        #expect(key.bytes.array() == hex("9f02283b6c9c07efc26bb9f2ac92e356") && nonce.bytes.array() == hex("cf782b88dd83549aadf1e984"))
    }

    /// A record that is not authentic uses its number up like any other: none is ever used twice.
    @Test func numbersOfFailures() throws {
        let secret = String(repeating: "5a", count: 32)
        var receiving = try key(.aes128GCM, secret)
        let whole = Slice(copying: [23, 3, 3, 0, 17] + [UInt8](repeating: 0, count: 17))
        let opened = receiving.open(whole.block, whole.range)
        let afterWhole = receiving.recordNumber
        #expect(opened == nil && afterWhole == 1)
        try receiving.beginOpening(header: whole.block.bytes(0..<5))
        let afterBegin = receiving.recordNumber
        #expect(afterBegin == 2)
    }

    @Test(arguments: TLSCipherSuite.allCases) func eachSuite(suite: TLSCipherSuite) throws {
        let secret = String(repeating: "5a", count: suite.hashByteCount)
        var sending = try key(suite, secret)
        var receiving = try key(suite, secret)
        for number in 0..<4 {
            let record = Slice(copying: try sending.seal([1, 0], .alert))
            let block = record.block
            let inner = receiving.open(block, record.range) ?? 0..<0
            #expect(TLSTrafficKey.content(of: block, inner).map { [$0.type, UInt8($0.range.count)] } == [21, 2], "record \(number)")
            guard number == 2 else { continue }
            sending = try sending.next()
            receiving = try receiving.next()
        }
    }
}
