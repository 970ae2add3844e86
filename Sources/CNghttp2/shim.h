#ifndef CNGHTTP2_SHIM_H
#define CNGHTTP2_SHIM_H

/*
 * libnghttp2, and what Swift cannot say to it itself: lists of header fields whose pointers must stay where they are, and the union that a frame is.
 * A function that returns `int` returns 0 or one of the library's negative error codes.
 */
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <nghttp2/nghttp2.h>

struct cn_limits {
    uint32_t streams_max;
    uint32_t window_bytes;
    uint32_t connection_window_bytes;
    uint32_t frame_bytes_max;
    uint64_t resets_at_once_max;
    uint64_t resets_per_second_max;
};

struct cn_callbacks {
    nghttp2_on_frame_recv_callback frame_received;
    nghttp2_on_data_chunk_recv_callback data_received;
    nghttp2_on_stream_close_callback stream_closed;
    nghttp2_on_frame_not_send_callback frame_not_sent;
    nghttp2_send_data_callback send_data;
    nghttp2_data_source_read_length_callback read_length;
};

static inline int cn_submit_settings(nghttp2_session *session, int is_server, const struct cn_limits *limits) {
    nghttp2_settings_entry entries[3] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window_bytes},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
    };
    size_t count = 2;
    /* Towards a client nothing is opened but by a push, which is refused altogether. */
    if (!is_server) entries[1] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    if (limits->frame_bytes_max != 16384)
        entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits->frame_bytes_max};
    int error = nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, count);
    if (error) return error;
    return nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, (int32_t)limits->connection_window_bytes);
}

/* A session with its settings queued; NULL when there is no memory for it. */
static inline nghttp2_session *cn_session_new(
    int is_server, const struct cn_callbacks *functions, const struct cn_limits *limits, void *user_data) {
    nghttp2_session *session = NULL;
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0) {
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, functions->frame_received);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, functions->data_received);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, functions->stream_closed);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, functions->frame_not_sent);
        nghttp2_session_callbacks_set_send_data_callback(callbacks, functions->send_data);
        nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, functions->read_length);
        /* Credit is the application's to give back. */
        nghttp2_option_set_no_auto_window_update(option, 1);
        /* Streams that have ended are of no use for priorities that nobody sets. */
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_peer_max_concurrent_streams(option, limits->streams_max);
        nghttp2_option_set_stream_reset_rate_limit(option, limits->resets_at_once_max, limits->resets_per_second_max);
        int error = is_server ? nghttp2_session_server_new2(&session, callbacks, user_data, option)
                              : nghttp2_session_client_new2(&session, callbacks, user_data, option);
        if (!error && cn_submit_settings(session, is_server, limits) != 0) {
            nghttp2_session_del(session);
            session = NULL;
        }
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

#define CN_FIELD(name, value) \
    {(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}

/*
 * The least that the library takes for a request (RFC 9113, section 8.3.1). HPACK's static table has all but the authority, which is in the dynamic one
 * from the second request on: four bytes in all.
 */
static inline int32_t cn_submit_request(nghttp2_session *session, nghttp2_data_source_read_callback read) {
    static const nghttp2_nv fields[] = {CN_FIELD(":method", "POST"), CN_FIELD(":scheme", "http"), CN_FIELD(":path", "/"), CN_FIELD(":authority", "h")};
    nghttp2_data_provider provider = {{.ptr = NULL}, read};
    return nghttp2_submit_request(session, NULL, fields, sizeof fields / sizeof *fields, &provider, NULL);
}

static inline int cn_submit_response(nghttp2_session *session, int32_t stream_id, nghttp2_data_source_read_callback read) {
    static const nghttp2_nv fields[] = {CN_FIELD(":status", "200")};
    nghttp2_data_provider provider = {{.ptr = NULL}, read};
    return nghttp2_submit_response(session, stream_id, fields, sizeof fields / sizeof *fields, &provider);
}

static inline int cn_submit_goaway(nghttp2_session *session, uint32_t code) {
    return nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session), code, NULL, 0);
}

/* What a frame is, without a copy of the union. */
static inline uint8_t cn_type(const nghttp2_frame *frame) { return frame->hd.type; }
static inline int32_t cn_stream_id(const nghttp2_frame *frame) { return frame->hd.stream_id; }
static inline int cn_ends_stream(const nghttp2_frame *frame) { return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0; }
static inline int cn_is_request(const nghttp2_frame *frame) {
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}
static inline uint32_t cn_reset_code(const nghttp2_frame *frame) { return frame->rst_stream.error_code; }
static inline uint32_t cn_goaway_code(const nghttp2_frame *frame) { return frame->goaway.error_code; }

#endif
