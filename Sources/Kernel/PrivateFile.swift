import Glibc

/// A small file that only its owner may read: where a private key is kept.
public enum PrivateFile {
    /// Reads the whole file, at most `byteCountMax` bytes.
    ///
    /// - Returns: what is in it, and the permission bits of the very file that was read, whatever has the name by now.
    /// - Throws: the call that failed; `EFBIG` when the file is longer.
    public static func read(_ path: String, byteCountMax: Int) throws(Errno) -> (bytes: [UInt8], mode: UInt32) {
        let descriptor = try syscall("open") { unsafe open(path, O_RDONLY | O_CLOEXEC) }
        defer { close(descriptor) }
        var status = stat()
        _ = try syscall("fstat") { unsafe fstat(descriptor, &status) }
        var bytes = [UInt8](repeating: 0, count: byteCountMax + 1)
        var count = 0
        while count < bytes.count {
            let read = try syscall("read") {
                unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress.map { unsafe $0 + count }, $0.count - count) }
            }
            if read == 0 { break }
            count += read
        }
        guard count <= byteCountMax else { throw Errno(EFBIG, "read") }
        return (Array(bytes.prefix(count)), status.st_mode & 0o777)
    }

    /// Creates the file with mode 0600, whole or not at all: what is written goes to a file beside it, which then takes the name.
    ///
    /// - Throws: the call that failed; `EEXIST` when there is a file of this name already.
    public static func create(_ path: String, _ bytes: [UInt8]) throws(Errno) {
        // A name of its own: a draft that a process left behind when it was ended must not be in the way of the next.
        let draft = "\(path).\(String(UInt64.random(in: 0 ... .max), radix: 36)).new"
        let descriptor = try syscall("open") { unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        // Whatever becomes of it, no draft stays.
        defer { unsafe unlink(draft) }
        do throws(Errno) {
            // The process's mask may have taken bits away, never added any.
            try writeAll(descriptor, bytes)
            _ = try syscall("fsync") { fsync(descriptor) }
        } catch {
            close(descriptor)
            throw error
        }
        close(descriptor)
        // A link, unlike a rename, never takes the place of a file that somebody else has made meanwhile.
        _ = try syscall("link") { unsafe link(draft, path) }
    }

    private static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(Errno) {
        var count = 0
        while count < bytes.count {
            count += try syscall("write") {
                unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress.map { unsafe $0 + count }, $0.count - count) }
            }
        }
    }
}

extension Errno {
    /// There is no such file.
    public var isNoSuchFile: Bool { code == ENOENT }
    /// There is one already.
    public var isFileExists: Bool { code == EEXIST }
}
