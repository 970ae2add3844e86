import Foundation
import Report

/// The lines of a text file that may be too long to hold.
enum TextLines {
    static func forEach(in path: String, _ body: (String) throws -> Void) throws {
        let file: FileHandle
        do {
            file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        } catch {
            throw ProfileError.unreadable(path: path, detail: error.localizedDescription)
        }
        defer { try? file.close() }
        var rest: [UInt8] = []
        while let part = try file.read(upToCount: 1 << 20), !part.isEmpty {
            rest += part
            var start = 0
            while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
                try body(String(decoding: rest[start..<end], as: UTF8.self))
                start = end + 1
            }
            rest.removeSubrange(..<start)
        }
        if !rest.isEmpty { try body(String(decoding: rest, as: UTF8.self)) }
    }
}
