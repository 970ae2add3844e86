#ifndef CKERNEL_SHIM_H
#define CKERNEL_SHIM_H

/* What Swift's Glibc module does not show: headers outside it, variadic calls, macros and structs newer than the C library's. */

#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CK_TCP_NOTSENT_LOWAT 25

/* struct tcp_info as linux/tcp.h has it, under a name of its own: the C library's header defines an older one by the
   kernel's name. The kernel only ever appends, and says how many bytes it filled. */
struct ck_tcp_info {
    uint8_t state, ca_state, retransmits, probes, backoff, options, window_scales, flags;
    uint32_t rto, ato, snd_mss, rcv_mss;
    uint32_t unacked, sacked, lost, retrans, fackets;
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space;
    uint32_t total_retrans;
    uint64_t pacing_rate, max_pacing_rate;
    uint64_t bytes_acked, bytes_received;
    uint32_t segs_out, segs_in;
    uint32_t notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    uint64_t delivery_rate;
    uint64_t busy_time, rwnd_limited, sndbuf_limited;
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups, reord_seen;
};

static inline int ck_perf_event_open(uint32_t type, uint64_t config, int exclude_kernel) {
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = type;
    attr.config = config;
    attr.disabled = 1;
    attr.inherit = 1;
    attr.exclude_kernel = exclude_kernel ? 1 : 0;
    attr.exclude_hv = 1;
    attr.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);
}
static inline int ck_perf_event_enable(int fd) { return ioctl(fd, PERF_EVENT_IOC_ENABLE, 0); }
static inline int ck_perf_event_disable(int fd) { return ioctl(fd, PERF_EVENT_IOC_DISABLE, 0); }
static inline int ck_perf_event_reset(int fd) { return ioctl(fd, PERF_EVENT_IOC_RESET, 0); }

/* A core mask of 1024 bits, the kernel's usual maximum. process 0 means the calling thread. */
#define CK_CORES_MAX 1024
struct ck_cores { uint64_t words[CK_CORES_MAX / 64]; };
static inline void ck_cores_add(struct ck_cores *cores, int core) { cores->words[core / 64] |= (uint64_t)1 << (core % 64); }
static inline int ck_cores_has(const struct ck_cores *cores, int core) { return (int)(cores->words[core / 64] >> (core % 64) & 1); }
static inline int ck_set_cores(int process, const struct ck_cores *cores) {
    return (int)syscall(SYS_sched_setaffinity, process ? getpid() : 0, sizeof *cores, cores);
}
static inline int ck_get_cores(struct ck_cores *cores) {
    memset(cores, 0, sizeof *cores);
    return (int)syscall(SYS_sched_getaffinity, 0, sizeof *cores, cores);
}

static inline int ck_accept(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    return (int)syscall(SYS_accept4, fd, address, length, flags);
}

/* The C library hides RUSAGE_THREAD (1) unless GNU extensions are asked for. */
static inline int ck_thread_usage(struct rusage *usage) { return getrusage((__rusage_who_t)1, usage); }
static inline int ck_process_usage(struct rusage *usage) { return getrusage(RUSAGE_SELF, usage); }
static inline int ck_get_descriptor_limit(struct rlimit *limit) { return getrlimit(RLIMIT_NOFILE, limit); }
static inline int ck_set_descriptor_limit(const struct rlimit *limit) { return setrlimit(RLIMIT_NOFILE, limit); }

static inline void ck_name_thread(const char *name) { (void)prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }

#endif
