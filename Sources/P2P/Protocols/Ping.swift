import Bytes
import Kernel
public import Multiformats

/// `/ipfs/ping/1.0.0` (libp2p specification "Ping"): 32 random bytes that the far end sends back, again and again on one stream.
///
/// Call order: ``open(on:)``, any number of ``roundTrip(timeoutNanoseconds:)``, ``close()``.
public struct Ping: Sendable {
    /// How streams name it.
    public static let protocolID: ProtocolID = "/ipfs/ping/1.0.0"
    static let byteCount = 32
    /// How long to wait for an answer unless told otherwise; go-libp2p waits as long.
    public static let timeoutDefaultNanoseconds: UInt64 = 10_000_000_000

    private let stream: Stream

    /// Opens the stream that the pings go over. A far end that does not answer pings is found out by the first one.
    public static func open(on connection: PeerConnection) async throws(HostError) -> Ping {
        Ping(stream: try await connection.openStream(protocolID))
    }

    /// Sends one ping and returns the time until its answer was here, nanoseconds. The first one on a stream includes the negotiation.
    ///
    /// - Throws: ``HostError/wrongPong``, ``HostError/timedOut(afterNanoseconds:)``; the stream is over then.
    public func roundTrip(timeoutNanoseconds: UInt64 = Ping.timeoutDefaultNanoseconds) async throws(HostError) -> UInt64 {
        let stream = stream
        // On the connection's loop: a hop to another thread takes as long as many a round trip.
        let result = await withTaskExecutorPreference(stream.loop) { await Self.exchange(stream, timeoutNanoseconds) }
        return try result.get()
    }

    private static func exchange(_ stream: Stream, _ timeoutNanoseconds: UInt64) async -> Result<UInt64, HostError> {
        do throws(HostError) {
            let ping = (0..<byteCount).map { _ in UInt8.random(in: 0 ... .max) }
            stream.setDeadline(afterNanoseconds: timeoutNanoseconds)
            let start = Clock.now
            try await stream.write(ping)
            let pong = try await stream.read(exactly: byteCount)
            let end = Clock.now
            stream.setDeadline(afterNanoseconds: nil)
            guard pong == ping else {
                stream.reset()
                throw .wrongPong
            }
            return .success(end - start)
        } catch {
            return .failure(error)
        }
    }

    /// Finishes the stream.
    public func close() async { try? await stream.finish() }

    /// What every host answers by itself.
    public static var service: StreamService { .callbacks { _ in PingHandler() } }
}

/// Answers pings, each when it is whole.
private final class PingHandler: StreamProtocolHandler {
    private var held: [UInt8] = []

    func streamStarted(_ stream: RoutedStream) {}

    func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        held += block.bytes(range).array()
        let whole = held.count - held.count % Ping.byteCount
        guard whole > 0 else { return range.count }
        let answer = Slice(copying: Array(held.prefix(whole)))
        held.removeFirst(whole)
        do throws(HostError) {
            // Nobody needs so many at once; who does not take the answers is no honest peer.
            guard try stream.send(answer) <= 64 << 10 else { throw .streamClosed }
        } catch {
            stream.reset()
        }
        return range.count
    }

    func streamFinished(_ stream: RoutedStream) { stream.finish() }
    func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) {}
}
