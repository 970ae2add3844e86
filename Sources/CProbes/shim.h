#ifndef CPROBES_SHIM_H
#define CPROBES_SHIM_H

/* Probes of the engine (USDT): places that perf, bpftrace and gdb find in the binary by name, under the provider `streamgauge`. A probe that nobody watches is one
   `nop` and what puts its arguments into registers, which is little where they are at hand anyway: no probe fetches or computes anything for its own sake beyond that.

   What each argument means is in the documentation of the Reactor module ("Probes"). All are integers of 64 bits. `connection` is the same number in all probes of a
   connection, while it lives; `stream` is the multiplexer's. */

#if !__has_include(<sys/sdt.h>)
#error "<sys/sdt.h> is missing: scripts/install installs it, or apt-get install systemtap-sdt-dev"
#endif

/* In registers or as constants: an operand that may be in memory is put there by the compiler for the probe alone. */
#define STAP_SDT_ARG_CONSTRAINT nr
#include <sys/sdt.h>

#define CP_PROBE static inline __attribute__((always_inline)) void

/* The loop. */
CP_PROBE cp_loop_turn(unsigned long turn) { DTRACE_PROBE1(streamgauge, loop_turn, turn); }
CP_PROBE cp_loop_woken(long ready) { DTRACE_PROBE1(streamgauge, loop_woken, ready); }
CP_PROBE cp_loop_turn_done(unsigned long turn, long events) { DTRACE_PROBE2(streamgauge, loop_turn_done, turn, events); }

/* Sockets. A call that had to be put off has -1 bytes. */
CP_PROBE cp_read(long descriptor, long bytes) { DTRACE_PROBE2(streamgauge, read, descriptor, bytes); }
CP_PROBE cp_write(long descriptor, long bytes, long vectors) { DTRACE_PROBE3(streamgauge, write, descriptor, bytes, vectors); }

/* What a frame is for; the accounts of the byte ledger. */
enum { CP_DATA = 0, CP_WINDOW_UPDATE = 1, CP_PING = 2, CP_OPEN_CLOSE = 3 };

/* Multiplexers. `bytes` of a window update are its credit, and 0 where a frame carries neither. */
CP_PROBE cp_frame_decoded(unsigned long connection, unsigned long stream, long kind, long bytes) {
    DTRACE_PROBE4(streamgauge, frame_decoded, connection, stream, kind, bytes);
}
CP_PROBE cp_frame_queued(unsigned long connection, unsigned long stream, long bytes, long queued) {
    DTRACE_PROBE4(streamgauge, frame_queued, connection, stream, bytes, queued);
}
CP_PROBE cp_frame_sent(unsigned long connection, unsigned long stream, long kind, long bytes) {
    DTRACE_PROBE4(streamgauge, frame_sent, connection, stream, kind, bytes);
}
CP_PROBE cp_frame_taken_back(unsigned long connection, unsigned long stream, long kind, long bytes) {
    DTRACE_PROBE4(streamgauge, frame_taken_back, connection, stream, kind, bytes);
}
CP_PROBE cp_window_update_sent(unsigned long connection, unsigned long stream, long credit) {
    DTRACE_PROBE3(streamgauge, window_update_sent, connection, stream, credit);
}
CP_PROBE cp_window_stalled(unsigned long connection, unsigned long stream) { DTRACE_PROBE2(streamgauge, window_stalled, connection, stream); }
CP_PROBE cp_window_opened(unsigned long connection, unsigned long stream) { DTRACE_PROBE2(streamgauge, window_opened, connection, stream); }
CP_PROBE cp_stream_opened(unsigned long connection, unsigned long stream, long is_local) {
    DTRACE_PROBE3(streamgauge, stream_opened, connection, stream, is_local);
}
CP_PROBE cp_stream_closed(unsigned long connection, unsigned long stream) { DTRACE_PROBE2(streamgauge, stream_closed, connection, stream); }

/* A connection's write: what was offered to the channel below, and what it took. */
CP_PROBE cp_flush(unsigned long connection, long offered, long taken) { DTRACE_PROBE3(streamgauge, flush, connection, offered, taken); }

/* Secure channels. `channel` is a number of their own. */
CP_PROBE cp_record_sealed(unsigned long channel, long bytes) { DTRACE_PROBE2(streamgauge, record_sealed, channel, bytes); }
CP_PROBE cp_record_opened(unsigned long channel, long bytes) { DTRACE_PROBE2(streamgauge, record_opened, channel, bytes); }

/* The load: a loop has read its counters at the beginning and at the end of what is measured. Between the two, on that thread, other probes and the record count the same. */
CP_PROBE cp_measuring_begun(long is_server) { DTRACE_PROBE1(streamgauge, measuring_begun, is_server); }
CP_PROBE cp_measuring_ended(long is_server) { DTRACE_PROBE1(streamgauge, measuring_ended, is_server); }

#endif
