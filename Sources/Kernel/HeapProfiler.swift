import CJemalloc

/// The allocator's own profiler, which notes the call stack of allocations.
///
/// Call order: the process is started with `MALLOC_CONF=prof:true,prof_active:false,...`; ``activate()`` from where on it is to look; ``dump(to:)`` as often as wanted.
public enum HeapProfiler {
    /// Whether the allocator was built with a profiler.
    public static var isBuiltIn: Bool { flag("config.prof") ?? false }
    /// Whether this process was started with it.
    public static var isEnabled: Bool { flag("opt.prof") ?? false }

    /// Notes every allocation of every thread from now on.
    public static func activate() throws(Errno) {
        var isActive = true
        let code = unsafe mallctl("prof.active", nil, nil, &isActive, MemoryLayout<Bool>.size)
        guard code == 0 else { throw Errno(code, "mallctl prof.active") }
    }

    /// Writes what is held, and what was ever allocated since ``activate()``, by call stack.
    ///
    /// - Parameter path: of the file, made anew.
    public static func dump(to path: String) throws(Errno) {
        let code = unsafe path.withCString { name in
            var name: UnsafePointer<CChar>? = unsafe name
            return unsafe mallctl("prof.dump", nil, nil, &name, MemoryLayout<UnsafePointer<CChar>?>.size)
        }
        guard code == 0 else { throw Errno(code, "mallctl prof.dump") }
    }

    private static func flag(_ name: String) -> Bool? {
        var value = false
        var length = MemoryLayout<Bool>.size
        return unsafe mallctl(name, &value, &length, nil, 0) == 0 ? value : nil
    }
}
