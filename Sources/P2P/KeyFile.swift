import Bytes
import Kernel
import Multiformats
public import SecureChannels

/// A private key in a file, as libp2p's protobuf message `PrivateKey`: what other implementations of libp2p write and read as well.
public enum KeyFile {
    /// What to do when there is no such file.
    public enum WhenMissing: Sendable {
        /// Throw ``HostError/keyFile(path:_:)``.
        case fail
        /// Make a key and keep it there, for the owner's eyes only (mode 0600).
        case create
    }

    /// The identity kept at `path`.
    ///
    /// - Throws: ``HostError/keyFile(path:_:)``, ``HostError/malformedKey(path:_:)``, ``HostError/keyFileNotPrivate(path:mode:)`` or ``HostError/key(_:)``.
    public static func identity(at path: String, whenMissing: WhenMissing = .fail) throws(HostError) -> LocalIdentity {
        do throws(HostError) {
            return try read(path)
        } catch {
            guard case .keyFile(_, let cause) = error, cause.isNoSuchFile, whenMissing == .create else { throw error }
            return try create(path)
        }
    }

    /// Keeps `identity` in a new file at `path`; one that is there already is left as it is.
    public static func write(_ identity: LocalIdentity, to path: String) throws(HostError) {
        let bytes: [UInt8]
        do {
            bytes = try identity.privateKey().encoded
        } catch {
            throw .key(error)
        }
        do throws(Errno) {
            try PrivateFile.create(path, bytes)
        } catch {
            throw .keyFile(path: path, error)
        }
    }

    private static func create(_ path: String) throws(HostError) -> LocalIdentity {
        let identity: LocalIdentity
        do {
            identity = try LocalIdentity()
        } catch {
            throw .key(error)
        }
        do throws(HostError) {
            try write(identity, to: path)
        } catch {
            // Another process was faster: its key is the one that stays.
            guard case .keyFile(_, let cause) = error, cause.isFileExists else { throw error }
            return try read(path)
        }
        return identity
    }

    private static func read(_ path: String) throws(HostError) -> LocalIdentity {
        let (bytes, mode): ([UInt8], UInt32)
        do throws(Errno) {
            (bytes, mode) = try PrivateFile.read(path, byteCountMax: PrivateKey.dataByteCountMax + 16)
        } catch {
            throw .keyFile(path: path, error)
        }
        guard mode & 0o077 == 0 else { throw .keyFileNotPrivate(path: path, mode: mode) }
        let key: PrivateKey
        do throws(MultiformatError) {
            key = try PrivateKey(encoded: bytes.rawSpan)
        } catch {
            throw .malformedKey(path: path, error)
        }
        do {
            return try LocalIdentity(key)
        } catch {
            throw .key(error)
        }
    }
}
