import Kernel
import Multiformats
import P2P

extension SocketAddress {
    /// Where a run listens or dials.
    ///
    /// - Throws: ``ScenarioError`` when the address names no socket.
    init(ofRun address: Multiaddr) throws(ScenarioError) {
        do {
            try self.init(address)
        } catch {
            throw .contradiction("\(error)")
        }
    }
}
