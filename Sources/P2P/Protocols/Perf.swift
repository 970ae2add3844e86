import Bytes
import Kernel
public import Multiformats

/// `/perf/1.0.0` (libp2p specification "Perf"): the client says how many bytes it wants, sends its own and finishes; then the server sends that many.
///
/// ```
///   client ──8 bytes: count wanted (big-endian)──▶ ──upload──▶ finish
///          ◀──────────────────────────── count bytes ──────── finish  server
/// ```
public enum Perf {
    /// How streams name it.
    public static let protocolID: ProtocolID = "/perf/1.0.0"
    /// What is sent at a time.
    private static let chunkBytes = 64 << 10

    /// What a client measured.
    public struct Outcome: Equatable, Sendable {
        /// Payload sent, without the header.
        public let uploadedBytes: UInt64
        /// Payload received.
        public let downloadedBytes: UInt64
        /// From the first byte until the far end began to answer; with nothing to download, until it finished.
        public let uploadNanoseconds: UInt64
        /// From then until the far end finished.
        public let downloadNanoseconds: UInt64
    }

    /// Uploads `uploadBytes`, and then downloads `downloadBytes`, on a stream of its own.
    ///
    /// - Throws: ``HostError/streamEndedEarly(byteCount:expected:)`` when the far end sent fewer bytes than it was asked for, and as soon as it sends more
    ///   ``HostError/streamTooLong(expected:)``.
    public static func measure(_ connection: PeerConnection, uploadBytes: UInt64, downloadBytes: UInt64) async throws(HostError) -> Outcome {
        let stream = try await connection.openStream(protocolID)
        let result = await withTaskExecutorPreference(connection.loop) { await exchange(stream, uploadBytes, downloadBytes) }
        return try result.get()
    }

    /// What a client sends first: how many bytes it wants.
    public static func header(downloadBytes: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: downloadBytes >> (56 - 8 * $0)) } }

    private static func exchange(_ stream: Stream, _ uploadBytes: UInt64, _ downloadBytes: UInt64) async -> Result<Outcome, HostError> {
        do throws(HostError) {
            let start = Clock.now
            try await stream.write(header(downloadBytes: downloadBytes))
            try await send(uploadBytes, on: stream)
            try await stream.finish()
            var received: UInt64 = 0
            var turn: UInt64?
            while let slice = try await stream.readSlice() {
                if turn == nil { turn = Clock.now }
                received += UInt64(slice.count)
                guard received <= downloadBytes else { throw .streamTooLong(expected: Int(clamping: downloadBytes)) }
            }
            let end = Clock.now
            guard received == downloadBytes else {
                throw .streamEndedEarly(byteCount: Int(clamping: received), expected: Int(clamping: downloadBytes))
            }
            return .success(
                Outcome(
                    uploadedBytes: uploadBytes, downloadedBytes: received, uploadNanoseconds: (turn ?? end) - start,
                    downloadNanoseconds: end - (turn ?? end)))
        } catch {
            stream.reset()
            return .failure(error)
        }
    }

    private static func send(_ byteCount: UInt64, on stream: Stream) async throws(HostError) {
        let block = Block(copying: [UInt8](repeating: 0, count: chunkBytes).rawSpan)
        var left = byteCount
        while left > 0 {
            let count = Int(min(left, UInt64(chunkBytes)))
            try await stream.write(Slice(block, 0..<count))
            left -= UInt64(count)
        }
    }

    /// Answers whoever asks, with as many bytes as it asks for.
    public static var service: StreamService {
        .task { stream in
            let header = try await stream.read(exactly: 8)
            while try await stream.readSlice() != nil {}
            try await send(header.rawSpan.bigEndian64(at: 0), on: stream)
            try await stream.finish()
        }
    }
}
