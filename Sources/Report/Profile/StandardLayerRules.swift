/// The rules that `streamgauge profile --cpu` sorts stacks by, where `--rules` names no others. Every profile has a copy beside its table.
public enum StandardLayerRules {
    static var rules: [LayerRules.Rule] {
        do {
            return try LayerRules(text, file: "the standard rules").rules
        } catch {
            preconditionFailure("\(error)")
        }
    }

    public static let text = #"""
        # Which layer a stack's cost belongs to. A rule is
        #
        #     LAYER: WHERE PATTERN
        #
        # and the first rule that matches decides. WHERE is
        #
        #     leaf      the frame that was running, the last one of the stack
        #     stack     any frame
        #     nearest   such rules that follow each other are one step: from the leaf towards the root, the first
        #               frame that any of them matches decides. What no pattern knows, such as a copy in the C
        #               library, so belongs to who called it.
        #
        # In a pattern * is any characters and ? is one. Frames are named as in the folded files: MODULE`NAME, where MODULE
        # is a Swift module or a library's file name, and NAME_[k] in the kernel. What matches nothing is "other".
        #
        # What the compiler has inlined counts for the function that it is in: the send scheduler of yamux, for
        # one, is mostly a part of YamuxMachine.transmit. `streamgauge profile --cpu --rules FILE` takes other rules.

        # Over loopback the far end's receive path runs in the sender's system call: it is a part of sending.
        kernel send: stack __sys_send*_[k]
        kernel send: stack __x64_sys_send*_[k]
        kernel send: stack __arm64_sys_send*_[k]
        kernel send: stack ksys_write_[k]
        kernel send: stack do_writev_[k]
        kernel send: stack io_send*_[k]
        kernel receive: stack __sys_recv*_[k]
        kernel receive: stack __x64_sys_recv*_[k]
        kernel receive: stack __arm64_sys_recv*_[k]
        kernel receive: stack ksys_read_[k]
        kernel receive: stack do_readv_[k]
        kernel receive: stack io_recv*_[k]
        kernel other and waiting: leaf *_[k]

        # libcrypto's inner loops keep no frame pointers, so nobody knows their callers: the library is enough.
        crypto: stack libcrypto.so*`*
        crypto: stack libssl.so*`*

        # The first of these from the leaf on. Modules that serve whoever calls them (Bytes, Swift, libc) are in no rule.
        ARC: nearest libswiftCore.so*`*swift_retain*
        ARC: nearest libswiftCore.so*`*swift_release*
        ARC: nearest libswiftCore.so*`*swift_bridgeObjectRe*
        ARC: nearest libswiftCore.so*`*swift_unknownObjectRe*
        ARC: nearest libswiftCore.so*`*swift_isUniquelyReferenced*
        ARC: nearest libswiftCore.so*`*swift_weak*
        ARC: nearest libswiftCore.so*`*swift_unowned*
        ARC: nearest libswiftCore.so*`*swift_arrayDestroy*
        ARC: nearest libswiftCore.so*`swift::RefCounts*
        ARC: nearest *`outlined *
        allocation: nearest libjemalloc.so*`*
        allocation: nearest libswiftCore.so*`*swift_alloc*
        allocation: nearest libswiftCore.so*`*swift_dealloc*
        allocation: nearest libswiftCore.so*`*swift_slow*
        allocation: nearest libswiftCore.so*`*swift_initStackObject*
        allocation: nearest libc.so*`*malloc*
        allocation: nearest libc.so*`*calloc*
        allocation: nearest libc.so*`*realloc*
        allocation: nearest libc.so*`*free
        allocation: nearest Bytes`BlockPool.*
        crypto: nearest Ciphers`*
        crypto: nearest SecureChannels`*
        crypto: nearest P2P`SecuredChannel*
        scheduling: nearest Muxers`SendScheduler*
        scheduling: nearest Muxers`FlowControl*
        scheduling: nearest Muxers`*Markers*
        scheduling: nearest Muxers`*Window*
        muxer decode: nearest Muxers`*receive*
        muxer decode: nearest Muxers`*consume*
        muxer decode: nearest HTTP2`*receive*
        muxer decode: nearest HTTP2`*consume*
        muxer decode: nearest libnghttp2.so*`*recv*
        muxer encode: nearest Muxers`*
        muxer encode: nearest HTTP2`*
        muxer encode: nearest libnghttp2.so*`*
        connection: nearest P2P`*
        handler: nearest Load`*
        handler: nearest Gauge`*
        reactor: nearest Links`*
        reactor: nearest Reactor`*
        reactor: nearest Kernel`*
        reactor: nearest libc.so*`*epoll*
        reactor: nearest libc.so*`*recv*
        reactor: nearest libc.so*`*send*
        reactor: nearest libc.so*`*clock_gettime*
        reactor: nearest [vdso]`*

        """#
}
