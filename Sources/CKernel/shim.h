#ifndef CKERNEL_SHIM_H
#define CKERNEL_SHIM_H

/* What Swift's Glibc module does not show: headers outside it, variadic calls, macros and structs newer than the C library's. */

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
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

/* What one answer of sock_diag(7) says of TCP sockets on a port. */
struct ck_port_bytes {
    /* Sockets whose own port it is, and what they received. */
    uint64_t local_sockets, local_bytes_received;
    /* Sockets whose far end's port it is, and what they received. */
    uint64_t remote_sockets, remote_bytes_received;
};

/* Asks a netlink socket (NETLINK_SOCK_DIAG) for all IPv4 TCP sockets with TCP_INFO. */
static inline ssize_t ck_ask_for_tcp_sockets(int netlink) {
    struct { struct nlmsghdr header; struct inet_diag_req_v2 request; } message;
    memset(&message, 0, sizeof message);
    message.header.nlmsg_len = sizeof message;
    message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.request.sdiag_family = AF_INET;
    message.request.sdiag_protocol = IPPROTO_TCP;
    message.request.idiag_ext = 1 << (INET_DIAG_INFO - 1);
    /* Established and closing ones: those that are not yet or no longer whole (SYN_RECV, TIME_WAIT) have no counts. */
    message.request.idiag_states = 1u << 1 | 1u << 4 | 1u << 5 | 1u << 8 | 1u << 9 | 1u << 11;
    return send(netlink, &message, sizeof message, 0);
}

/* Adds what one answer holds; sockets whose answer has no byte counts are not among those that are counted. 1: more answers follow, 0: that was the last, -1 with errno: the kernel refused. */
static inline int ck_add_tcp_sockets(const void *answer, size_t length, uint16_t port, struct ck_port_bytes *sum) {
    const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
    int left = (int)length;
    for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
        if (header->nlmsg_type == NLMSG_DONE) return 0;
        if (header->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *error = (const struct nlmsgerr *)NLMSG_DATA(header);
            errno = header->nlmsg_len >= NLMSG_LENGTH(sizeof *error) ? -error->error : EPROTO;
            return -1;
        }
        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) continue;
        const struct inet_diag_msg *socket = (const struct inet_diag_msg *)NLMSG_DATA(header);
        int is_local = ntohs(socket->id.idiag_sport) == port, is_remote = ntohs(socket->id.idiag_dport) == port;
        if (!is_local && !is_remote) continue;
        int room = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof *socket));
        const struct rtattr *attribute = (const struct rtattr *)(socket + 1);
        for (; RTA_OK(attribute, room); attribute = RTA_NEXT(attribute, room)) {
            if (attribute->rta_type != INET_DIAG_INFO) continue;
            struct ck_tcp_info info;
            size_t count = RTA_PAYLOAD(attribute);
            memset(&info, 0, sizeof info);
            memcpy(&info, RTA_DATA(attribute), count < sizeof info ? count : sizeof info);
            if (count < __builtin_offsetof(struct ck_tcp_info, segs_out)) continue;
            if (is_local) { sum->local_sockets += 1; sum->local_bytes_received += info.bytes_received; }
            if (is_remote) { sum->remote_sockets += 1; sum->remote_bytes_received += info.bytes_received; }
        }
    }
    return 1;
}

static inline int ck_process_clock(pid_t process, uint64_t *nanoseconds) {
    clockid_t clock;
    struct timespec time;
    int failure = clock_getcpuclockid(process, &clock);
    if (failure) { errno = failure; return -1; }
    if (clock_gettime(clock, &time)) return -1;
    *nanoseconds = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    return 0;
}

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

static inline void ck_set_timer_slack(unsigned long nanoseconds) { (void)prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0); }
static inline void ck_name_thread(const char *name) { (void)prctl(PR_SET_NAME, (unsigned long)name, 0, 0, 0); }

#endif
