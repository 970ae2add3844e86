import Bytes
public import Multiformats

/// `/echo/1.0.0`: what comes in goes back, until the far end finishes. The protocol that libp2p's examples speak.
public enum Echo {
    /// How streams name it.
    public static let protocolID: ProtocolID = "/echo/1.0.0"

    /// For ``Host/handle(_:_:)-(ProtocolID,StreamService)``; a host does not answer it by itself.
    public static var service: StreamService { .callbacks { _ in EchoHandler() } }
}

/// Sends received slices back without copying them. A far end that does not read what it gets back is held back: it gets no more credit until the queue has fallen.
private final class EchoHandler: StreamProtocolHandler {
    /// What may wait to go back before credit is withheld.
    private static let queuedBytesMax = 256 << 10
    private var owed = 0

    func streamStarted(_ stream: RoutedStream) {}

    func streamReceived(_ stream: RoutedStream, _ block: Block, _ range: Range<Int>) -> Int {
        do throws(HostError) {
            guard try stream.send(stream.connection.keep(block, range)) > Self.queuedBytesMax else { return range.count }
            owed += range.count
            return 0
        } catch {
            stream.reset()
            return range.count
        }
    }

    func streamWritable(_ stream: RoutedStream) {
        let byteCount = owed
        owed = 0
        stream.consume(byteCount: byteCount)
    }

    func streamFinished(_ stream: RoutedStream) { stream.finish() }
    func streamEnded(_ stream: RoutedStream, _ end: StreamEnd) {}
}
