import CMOS
import Glibc

/// One trace read through the library from beginning to end.
struct TraceRun {
    let trace: TraceFile
    let filter: String?
    let verifiesChecksums: Bool
    let idleSeconds: UInt32

    /// Set by SIGINT.
    nonisolated(unsafe) static var wasInterrupted = false
    nonisolated(unsafe) fileprivate static var context: mctx_t?

    /// Many more than a trace has at a time; memory is taken as it is needed.
    private static let maxConcurrency = 1_000_000

    /// Feeds the collector and returns the counters.
    func run(into collector: FlowCollector) throws -> mos_stats {
        let configuration = try TemporaryFile()
        defer { configuration.close() }
        configuration.write(
            """
            mos {
                forward = 0
                netdev {
                    "pcap:\(trace.devicePath)" 0x1
                }
                max_concurrency = \(Self.maxConcurrency)
                no_ring_buffers = 1
                rx_checksum = \(verifiesChecksums ? 1 : 0)
                tcp_timeout = \(idleSeconds)
                tcp_tw_interval = 0
            }

            """)
        guard mtcp_init(configuration.path) == 0 else {
            throw ToolError("\(trace.name): the library does not start: \(reason(errno))")
        }
        defer { mtcp_destroy() }
        guard let context = mtcp_create_context(0) else {
            throw ToolError("\(trace.name): cannot be read: \(reason(errno))")
        }
        try FlowCollector.listen(context, filter: filter)
        FlowCollector.current = collector
        TraceRun.context = context
        mtcp_register_signal(SIGINT, traceRunInterrupt)
        defer {
            TraceRun.context = nil
            FlowCollector.current = nil
        }

        let progress = Progress(of: context, reading: trace)
        mtcp_app_join(context)
        progress?.finish()

        collector.finish()
        var stats = mos_stats()
        mos_get_stats(context, -1, &stats, MemoryLayout<mos_stats>.size)
        return stats
    }
}

/// Ends the context; mtcp_app_join returns and what was seen so far is shown.
@c
private func traceRunInterrupt(_ signal: Int32) {
    TraceRun.wasInterrupted = true
    mtcp_destroy_context(TraceRun.context)
}
