#ifndef CURING_SHIM_H
#define CURING_SHIM_H

/* liburing's macros and inline functions in a form that Swift can import. Each function is one step of the ring; the policy is in Swift. */

/* System headers first: liburing.h asks for another edition of POSIX, in which some structs have other names. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <liburing.h>

#define CU_BUFFER_GROUP 0

/* Newer than liburing 2.3: a provided buffer is filled bit by bit, by many receives (Linux 6.12). */
#define CU_BUFFERS_INCREMENTAL 2
#define CU_COMPLETION_BUFFER_MORE (1u << 4)

enum cu_mode { CU_MODE_DEFERRED, CU_MODE_COOPERATIVE, CU_MODE_PLAIN };

struct cu_ring {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    unsigned buffer_count;
    unsigned buffers_staged;
    int buffers_are_incremental;
    /* One message header for each submission queue entry: the kernel has read it when it has taken the entry. */
    struct msghdr *messages;
};

struct cu_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

/* All return 0 or a negative errno unless said otherwise. */

static inline int cu_init(struct cu_ring *ring, unsigned entries, unsigned completions, enum cu_mode mode) {
    struct io_uring_params params;
    memset(ring, 0, sizeof *ring);
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
    if (mode == CU_MODE_DEFERRED)
        params.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED;
    if (mode == CU_MODE_COOPERATIVE) params.flags |= IORING_SETUP_COOP_TASKRUN;
    params.cq_entries = completions;
    int result = io_uring_queue_init_params(entries, &ring->ring, &params);
    if (result < 0) return result;
    ring->messages = calloc(params.sq_entries, sizeof *ring->messages);
    if (!ring->messages || !(params.features & IORING_FEAT_EXT_ARG) || !(params.features & IORING_FEAT_SUBMIT_STABLE)) {
        free(ring->messages);
        io_uring_queue_exit(&ring->ring);
        return ring->messages ? -EOPNOTSUPP : -ENOMEM;
    }
    return 0;
}

static inline void cu_exit(struct cu_ring *ring) {
    io_uring_queue_exit(&ring->ring);
    free(ring->buffers);
    free(ring->messages);
}

/* liburing 2.3 declares io_uring_enable_rings but does not export it. */
static inline int cu_enable(struct cu_ring *ring) {
    return io_uring_register((unsigned)ring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

/* Buffers that the kernel chooses from; count is a power of two. */
static inline int cu_register_buffers(struct cu_ring *ring, unsigned count) {
    size_t size = (count * sizeof(struct io_uring_buf) + 4095) & ~(size_t)4095;
    void *memory = aligned_alloc(4096, size);
    if (!memory) return -ENOMEM;
    memset(memory, 0, size);
    struct io_uring_buf_reg registration;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uint64_t)(uintptr_t)memory;
    registration.ring_entries = count;
    registration.bgid = CU_BUFFER_GROUP;
    registration.pad = CU_BUFFERS_INCREMENTAL; /* named flags in newer headers */
    int result = io_uring_register_buf_ring(&ring->ring, &registration, 0);
    ring->buffers_are_incremental = result == 0;
    if (result == -EINVAL) {
        registration.pad = 0;
        result = io_uring_register_buf_ring(&ring->ring, &registration, 0);
    }
    if (result < 0) {
        free(memory);
        return result;
    }
    ring->buffers = memory;
    ring->buffer_count = count;
    io_uring_buf_ring_init(ring->buffers);
    return 0;
}

static inline void cu_stage_buffer(struct cu_ring *ring, void *memory, unsigned length, uint16_t id) {
    io_uring_buf_ring_add(ring->buffers, memory, length, id, io_uring_buf_ring_mask(ring->buffer_count), (int)ring->buffers_staged);
    ring->buffers_staged += 1;
}

static inline void cu_publish_buffers(struct cu_ring *ring) {
    if (ring->buffers_staged == 0) return;
    io_uring_buf_ring_advance(ring->buffers, (int)ring->buffers_staged);
    ring->buffers_staged = 0;
}

/* Preparing: false when the submission queue is full. */

static inline int cu_receive_multishot(struct cu_ring *ring, int fd, uint64_t user_data) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) return 0;
    io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = CU_BUFFER_GROUP;
    io_uring_sqe_set_data64(entry, user_data);
    return 1;
}

static inline int cu_accept_multishot(struct cu_ring *ring, int fd, uint64_t user_data) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) return 0;
    io_uring_prep_multishot_accept(entry, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    io_uring_sqe_set_data64(entry, user_data);
    return 1;
}

static inline int cu_send(struct cu_ring *ring, int fd, struct iovec *vectors, size_t count, uint64_t user_data) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) return 0;
    struct msghdr *message = &ring->messages[entry - ring->ring.sq.sqes];
    memset(message, 0, sizeof *message);
    message->msg_iov = vectors;
    message->msg_iovlen = count;
    io_uring_prep_sendmsg(entry, fd, message, MSG_NOSIGNAL);
    io_uring_sqe_set_data64(entry, user_data);
    return 1;
}

static inline int cu_poll(struct cu_ring *ring, int fd, unsigned mask, int multishot, uint64_t user_data) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) return 0;
    if (multishot)
        io_uring_prep_poll_multishot(entry, fd, mask);
    else
        io_uring_prep_poll_add(entry, fd, mask);
    io_uring_sqe_set_data64(entry, user_data);
    return 1;
}

static inline int cu_cancel(struct cu_ring *ring, uint64_t target, uint64_t user_data) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) return 0;
    io_uring_prep_cancel64(entry, target, 0);
    io_uring_sqe_set_data64(entry, user_data);
    return 1;
}

static inline int cu_cancel_descriptor(struct cu_ring *ring, int fd, uint64_t user_data) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) return 0;
    io_uring_prep_cancel_fd(entry, fd, IORING_ASYNC_CANCEL_ALL);
    io_uring_sqe_set_data64(entry, user_data);
    return 1;
}

/* Entering: each is one io_uring_enter. */

static inline unsigned cu_prepared(struct cu_ring *ring) { return io_uring_sq_ready(&ring->ring); }
static inline unsigned cu_completed(struct cu_ring *ring) { return io_uring_cq_ready(&ring->ring); }
static inline int cu_submit(struct cu_ring *ring) { return io_uring_submit_and_get_events(&ring->ring); }
static inline int cu_submit_and_wait(struct cu_ring *ring) { return io_uring_submit_and_wait(&ring->ring, 1); }
static inline int cu_submit_and_wait_for(struct cu_ring *ring, uint64_t nanoseconds) {
    struct __kernel_timespec limit;
    limit.tv_sec = (int64_t)(nanoseconds / 1000000000u);
    limit.tv_nsec = (long long)(nanoseconds % 1000000000u);
    struct io_uring_cqe *completion;
    return io_uring_submit_and_wait_timeout(&ring->ring, &completion, 1, &limit, NULL);
}

/* Takes the oldest completion; 0 when there is none. */
static inline int cu_next(struct cu_ring *ring, struct cu_completion *completion) {
    if (io_uring_cq_ready(&ring->ring) == 0) return 0;
    struct io_uring_cq *queue = &ring->ring.cq;
    struct io_uring_cqe *entry = &queue->cqes[*queue->khead & *queue->kring_mask];
    completion->user_data = entry->user_data;
    completion->result = entry->res;
    completion->flags = entry->flags;
    io_uring_cq_advance(&ring->ring, 1);
    return 1;
}

#endif
