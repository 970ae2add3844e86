@testable import Load
import P2P
import Testing

@Suite struct ProtocolStackTests {
    @Test func everyStackIsItsOwnText() throws {
        #expect(ProtocolStack.all.count == 30)
        for stack in ProtocolStack.all { #expect(try ProtocolStack(stack.description) == stack) }
        #expect(ProtocolStack.all.map(\.description).contains("tcp+yamux"))
        #expect(try ProtocolStack("unix").hasMuxer == false)
        #expect(try ProtocolStack("memory+mplex") == ProtocolStack(transport: .memory, muxer: .mplex))
        #expect(ProtocolStack.all.filter { $0.muxer == .h2 }.map(\.description) == ["tcp+h2", "unix+h2", "memory+h2"], "it is never negotiated")
    }

    @Test(arguments: ["", "+", "tcp+", "+yamux", "tcp+none", "none", "tcp+yamux+mplex", "tcp+noise", "tcp+yamux+noise", "tcp+noise+none", "yamux", "udp+yamux", "TCP", "tcp yamux", "tcp+yamux+", "tcp+noise+h2", "h2"])
    func othersAreRefusedByName(text: String) {
        do {
            _ = try ProtocolStack(text)
            Issue.record("'\(text)' was taken")
        } catch {
            #expect(error.subject == text)
            #expect(error.description.contains("'\(text)'"))
            #expect(error.description.contains("tcp+yamux, tcp+mplex"), "the known ones are listed")
        }
    }

    @Test(arguments: [("tcp+yamx", "tcp+yamux"), ("tpc+yamux", "tcp+yamux"), ("tcp+mplx", "tcp+mplex"), ("unx", "unix"), ("tcp+nose+yamux", "tcp+noise+yamux"), ("memory+yamuxx", "memory+yamux")])
    func nearestIsSuggested(text: String, nearest: String) {
        do {
            _ = try ProtocolStack(text)
            Issue.record("'\(text)' was taken")
        } catch {
            #expect(error.nearest == nearest)
            #expect(error.description.contains("did you mean '\(nearest)'"))
        }
    }

    @Test func farIsNotNear() {
        #expect(Nearest.to("quic", among: ["tcp+yamux", "unix+mplex"]) == nil)
        #expect(Nearest.to("bulk", among: ["bulk", "idle"]) == "bulk")
        #expect(Nearest.to("x", among: []) == nil)
        #expect(Nearest.to("", among: ["ab"]) == "ab")
    }
}
