import Kernel
import Testing

@Suite struct AddressTests {
    @Test(arguments: ["127.0.0.1:80", "0.0.0.0:0", "255.1.2.3:65535", "[::1]:443", "[2001:db8::1]:1", "[fe80::1%2]:9", "unix:/tmp/x"])
    func textRoundTrip(_ text: String) throws {
        #expect(try #require(SocketAddress(text)).description == text)
    }

    @Test(arguments: [
        "", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1", "1.2.3:1", "[::1]", "[::1:1", "::1:1x", "[fe80::1%eth0]:1", "unix:",
        "unix:" + String(repeating: "a", count: 108), "localhost:80",
    ])
    func textThatIsNoAddress(_ text: String) {
        #expect(SocketAddress(text) == nil)
    }
}
