// libtins' stream follower, through its own interface: a frame becomes a PDU
// as its sniffer makes one, and the streams call back with their data. It has
// no callback for packets, so `count` counts the calls with data; and it does
// not verify checksums.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <string.h>
#include <tins/tins.h>
#include <tins/tcp_ip/stream_follower.h>

#include <vector>

#include "bench.h"

using Tins::TCPIP::Stream;
using Tins::TCPIP::StreamFollower;

int run_tins(const struct job *job, const struct gen_trace *trace, struct result *r)
{
    uint64_t before = now_ns();
    const char *pattern = trace->options.pattern;
    size_t pattern_size = strlen(pattern);
    bool search = strncmp(job->work, "search", 6) == 0;
    probe_begin(trace, job->loops, r);
    std::vector<uint64_t> counters((size_t)trace->flow_count * job->loops + 1);
    uint64_t flows = 0, stream_bytes = 0, hits = 0;
    StreamFollower follower;
    follower.new_stream_callback([&](Stream &stream) {
        if (search) {
            auto look = [&](const Stream::payload_type &payload) {
                stream_bytes += payload.size();
                hits += memmem(payload.data(), payload.size(), pattern, pattern_size) != nullptr;
            };
            stream.client_data_callback([look](Stream &s) { look(s.client_payload()); });
            stream.server_data_callback([look](Stream &s) { look(s.server_payload()); });
            flows++;
        } else {
            uint64_t *counter = &counters[flows++];
            stream.client_data_callback([counter](Stream &) { ++*counter; });
            stream.server_data_callback([counter](Stream &) { ++*counter; });
        }
    });
    r->start_ns = now_ns() - before;
    uint64_t next = 0, delivered = 0, base = 0;
    for (uint32_t loop = 0; loop < job->loops; loop++) {
        for (size_t i = 0; i < trace->frame_count; i++, delivered++) {
            const struct gen_frame *f = &trace->frames[i];
            if (delivered >= next)
                next = probe_at(nullptr, delivered);
            Tins::Packet packet(new Tins::EthernetII(f->data, f->len),
                                Tins::Timestamp(std::chrono::microseconds((f->time_ns + base) / 1000)),
                                Tins::Packet::own_pdu());
            follower.process_packet(packet);
        }
        base += trace->duration_ns;
    }
    probe_end();
    for (uint64_t counter : counters)
        r->counted += counter;
    r->flows = flows;
    r->stream_bytes = stream_bytes;
    r->hits = hits;
    return 0;
}
