import Gauge
import Testing

@Suite struct ByteLedgerTests {
    @Test func accountsThatAddUpBalance() {
        var ledger = ByteLedger()
        ledger.payload = 1000
        ledger.muxDataHeader = 120
        ledger.muxWindowUpdate = 24
        ledger.muxOpenClose = 12
        ledger.muxPing = 12
        ledger.securityRecord = 18
        ledger.handshake = 5
        ledger.negotiation = 4
        ledger.socketBytes = 1195
        ledger.kernelBytes = 1195
        #expect(ledger.accounted == 1195 && ledger.residual == 0 && ledger.balanced)
        #expect(ledger.imbalance(.client, .sent) == nil)
        #expect(ledger.frameOverheadRatio.value == 0.195)
        #expect(ledger.accounts.map(\.bytes).reduce(0, +) == ledger.accounted)
    }

    @Test func whatIsMissingIsSaid() {
        var ledger = Samples.balanced(payload: 1_000_000, headers: 12_000)
        ledger.socketBytes += 64
        ledger.kernelBytes = .value(ledger.socketBytes)
        #expect(ledger.residual == 64 && !ledger.balanced)
        #expect(
            ledger.imbalance(.client, .sent)
                == "the client sent 1,012,064 bytes on its sockets and can account for only 1,012,000: 64 bytes belong to no account")
        ledger.socketBytes -= 128
        #expect(ledger.residual == -64)
        #expect(
            ledger.imbalance(.server, .received)
                == "the server's accounts claim 1,012,000 bytes received, 64 more than the 1,011,936 that its sockets carried")
    }

    @Test func theKernelIsAWitness() {
        var ledger = Samples.balanced(payload: 100, headers: 0)
        ledger.kernelBytes = 101
        #expect(ledger.residual == 0 && ledger.kernelResidual == 1 && !ledger.balanced)
        #expect(ledger.imbalance(.client, .received) == "the client received 100 bytes by its own count and 101 by the kernel's: 1 byte more")
        ledger.kernelBytes = .unavailable("unix transport")
        #expect(ledger.balanced && ledger.kernelResidual.reason == "unix transport" && ledger.imbalance(.client, .sent) == nil)
    }

    @Test func addingKeepsTheMissingWitnessMissing() {
        var one = Samples.balanced(payload: 100, headers: 12)
        let two = one + one
        #expect(two.payload == 200 && two.muxDataHeader == 24 && two.socketBytes == 224 && two.kernelBytes == 224)
        one.kernelBytes = .unavailable("memory transport")
        var sum = ByteLedger.zero
        sum += two
        sum += one
        #expect(sum.kernelBytes.reason == "memory transport" && sum.socketBytes == 336 && sum.balanced)
    }

    @Test func noPayloadHasNoRatio() {
        #expect(ByteLedger.zero.frameOverheadRatio.reason == "no payload was carried")
    }
}

@Suite struct RunLedgerTests {
    private let up = Samples.balanced(payload: 6_400, headers: 1_200)
    private let down = Samples.balanced(payload: 0, headers: 12)

    private var ledger: RunLedger {
        RunLedger(client: SideLedger(sent: up, received: down), server: .value(SideLedger(sent: down, received: up)))
    }

    @Test func bothSidesAgree() {
        #expect(ledger.balanced && ledger.imbalances().isEmpty)
        #expect(ledger.total.payload == 6_400 && ledger.total.socketBytes == 7_612)
    }

    @Test func aFarEndThatCannotTellIsNotHeldAgainstTheRun() {
        let alone = RunLedger(client: ledger.client, server: .unavailable("the far end is not ours"))
        #expect(alone.balanced)
    }

    @Test func bytesLostBetweenTheSidesAreSaid() {
        var broken = ledger
        var received = up
        received.payload -= 64
        received.socketBytes -= 64
        received.kernelBytes = .value(received.socketBytes)
        broken.server = .value(SideLedger(sent: down, received: received))
        #expect(!broken.balanced)
        #expect(broken.imbalances() == ["the client sent 7,600 bytes and the server received 7,536"])
    }

    @Test func accountsThatDifferWithEqualTotalsAreSaid() {
        var broken = ledger
        var received = up
        received.payload -= 12
        received.muxDataHeader += 12
        broken.server = .value(SideLedger(sent: down, received: received))
        #expect(broken.imbalances() == ["the client sent 6,400 bytes as payload and the server counted 6,388"])
    }
}
