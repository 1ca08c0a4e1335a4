/* libnids, through its own interface: frames go in by nids_pcap_handler(), the
 * function that it gives to libpcap itself; streams come out of the callback
 * of nids_register_tcp(). Its callback reports stream data and not packets, so
 * `count` counts the calls with data. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <nids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static uint64_t *counters;
static uint64_t flows, stream_bytes, hits;
static const char *pattern;
static size_t pattern_size;

static void quiet(void) {}

static int announce(struct tcp_stream *s)
{
    if (s->nids_state != NIDS_JUST_EST)
        return s->nids_state == NIDS_DATA;
    s->client.collect = 1;
    s->server.collect = 1;
    s->user = &counters[flows++];
    return 0;
}

static void count(struct tcp_stream *s, void **parameter)
{
    (void)parameter;
    if (announce(s))
        ++*(uint64_t *)s->user;
}

static void search(struct tcp_stream *s, void **parameter)
{
    (void)parameter;
    if (!announce(s))
        return;
    struct half_stream *half = s->server.count_new ? &s->server : &s->client;
    stream_bytes += (uint64_t)half->count_new;
    hits += memmem(half->data, (size_t)half->count_new, pattern, pattern_size) != NULL;
}

int run_nids(const struct job *job, const struct gen_trace *trace, struct result *r)
{
    uint64_t before = now_ns();
    pattern = trace->options.pattern;
    pattern_size = strlen(pattern);
    probe_begin(trace, job->loops, r);
    counters = (uint64_t *)calloc((size_t)trace->flow_count * job->loops + 1, sizeof *counters);
    nids_params.pcap_desc = pcap_open_dead(DLT_EN10MB, 65535);
    nids_params.n_tcp_streams = (int)(trace->options.concurrent / 3 * 4 + 1024);
    nids_params.scan_num_hosts = 0;
    nids_params.multiproc = 0;
    nids_params.syslog = (void (*)())quiet;
    if (!nids_init()) {
        fprintf(stderr, "libnids: %s\n", nids_errbuf);
        return -1;
    }
    static struct nids_chksum_ctl unchecked;
    unchecked.action = NIDS_DONT_CHKSUM;
    if (!job->checksum)
        nids_register_chksum_ctl(&unchecked, 1);
    nids_register_tcp(strncmp(job->work, "search", 6) == 0 ? (void *)search : (void *)count);
    r->start_ns = now_ns() - before;
    uint64_t next = 0, delivered = 0, base = 0;
    struct pcap_pkthdr header;
    memset(&header, 0, sizeof header);
    for (uint32_t loop = 0; loop < job->loops; loop++) {
        for (size_t i = 0; i < trace->frame_count; i++, delivered++) {
            const struct gen_frame *f = &trace->frames[i];
            if (delivered >= next)
                next = probe_at(NULL, delivered);
            uint64_t time = f->time_ns + base;
            header.ts.tv_sec = (time_t)(time / 1000000000u);
            header.ts.tv_usec = (suseconds_t)(time % 1000000000u / 1000);
            header.caplen = header.len = f->len;
            /* it only reads the frame, whatever its prototype says */
            nids_pcap_handler(NULL, &header, (u_char *)(uintptr_t)f->data);
        }
        base += trace->duration_ns;
    }
    probe_end();
    for (uint64_t i = 0; i < flows; i++)
        r->counted += counters[i];
    r->flows = flows;
    r->stream_bytes = stream_bytes;
    r->hits = hits;
    return 0;
}
