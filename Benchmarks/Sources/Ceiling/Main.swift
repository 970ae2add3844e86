import Bytes
import Ciphers
import Kernel
import SecureChannels

/// What a thread measured.
private final class Rate: Sendable {
    let value = Locked(0.0)
}

/// What encryption alone allows: gigabytes a second that a core seals and another opens, with no network between.
///
/// ```
/// ceiling [SECONDS]    how long each figure is measured; 1 unless said otherwise
/// ```
///
/// Sealing and opening run alone, then both at once on two cores, as at the two ends of a connection. The lower of the two is then the ceiling of any run
/// over that channel on this machine; the network's own cost comes on top.
@main
enum Ceiling {
    static func main() throws {
        let seconds = CommandLine.arguments.dropFirst().first.map { Double($0) ?? 0 } ?? 1
        guard seconds > 0 else { fatalError("say how many seconds each figure may take, such as 1") }
        let duration = UInt64(seconds * 1e9)
        print(row("", ["seal", "open", "seal beside open", "open beside seal"]))
        for byteCount in [65_519, 16_384, 4096, 1024, 256] {
            let figures = try figures({ SealingLoop(.noise(payloadBytes: byteCount)) }, { OpeningLoop(.noise(payloadBytes: byteCount)) }, duration)
            print(row("noise, records of \(byteCount) B", figures))
        }
        for byteCount in [16_384, 4096, 1024, 256] {
            let figures = try figures({ SealingLoop(.tls(payloadBytes: byteCount)) }, { OpeningLoop(.tls(payloadBytes: byteCount)) }, duration)
            print(row("tls, records of \(byteCount) B", figures))
        }
        for (name, algorithm) in [("ChaCha20-Poly1305", AEADKey.Algorithm.chaCha20Poly1305), ("AES-128-GCM", .aes128GCM), ("AES-256-GCM", .aes256GCM)] {
            let figures = try figures({ CipherLoop(algorithm, seals: true) }, { CipherLoop(algorithm, seals: false) }, duration)
            print(row("\(name) alone, 65519 B", figures))
        }
        let core = try Affinity.allowedCores()[0]
        let handshakes: [(String, @Sendable () -> any TimedLoop)] = [
            ("a Noise key for each", { HandshakeLoop.noise(sharesKeys: false) }), ("Noise keys shared", { HandshakeLoop.noise(sharesKeys: true) }),
            ("a TLS certificate for each", { HandshakeLoop.tls(sharesCertificates: false) }),
            ("TLS certificates shared", { HandshakeLoop.tls(sharesCertificates: true) }),
        ]
        for (name, loop) in handshakes {
            let perNanosecond = try run([loop], [core], duration)[0]
            print("handshake, both ends on one core, \(name): \((1 / perNanosecond / 1000).rounded()) us")
        }
    }

    /// Gigabytes a second of both loops alone, then side by side on two cores.
    private static func figures(
        _ seal: @escaping @Sendable () -> any TimedLoop, _ open: @escaping @Sendable () -> any TimedLoop, _ duration: UInt64
    ) throws -> [String] {
        let cores = try Affinity.allowedCores()
        let alone = [try run([seal], [cores[0]], duration)[0], try run([open], [cores[0]], duration)[0]]
        let together = cores.count > 1 ? try run([seal, open], Array(cores.prefix(2)), duration) : []
        let rates = (alone + together).map { "\(($0 * 100).rounded() / 100) GB/s" }
        return rates + [String](repeating: "one core only", count: 4 - rates.count)
    }

    private static func run(_ loops: [@Sendable () -> any TimedLoop], _ cores: [Int], _ duration: UInt64) throws -> [Double] {
        let results = loops.map { _ in Rate() }
        var threads: [LoopThread] = []
        for (index, make) in loops.enumerated() {
            let (result, core) = (results[index], cores[index])
            threads.append(
                try LoopThread(name: "ceiling-\(index)") {
                    do { try Affinity.pinThread(to: core) } catch { fatalError("\(error)") }
                    let rate = measure(make(), duration)
                    result.value.withLock { $0 = rate }
                })
        }
        for thread in threads { thread.join() }
        return results.map { $0.value.withLock { $0 } }
    }

    /// Bytes a nanosecond, which is gigabytes a second, in the turns that count.
    private static func measure(_ loop: any TimedLoop, _ duration: UInt64) -> Double {
        let end = Clock.now + duration
        var (bytes, time): (Int, UInt64) = (0, 0)
        while true {
            loop.prepare()
            let start = Clock.now
            guard start < end else { return time > 0 ? Double(bytes) / Double(time) : 0 }
            bytes += loop.run()
            time += Clock.now - start
        }
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        func padded(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
        return name + padded("", 30 - name.count) + cells.map { padded($0, 18) }.joined()
    }
}
