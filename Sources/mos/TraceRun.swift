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
    /// How far back, in bytes of a stream, it is known what was received: only
    /// holes take memory, for payload is not kept.
    private static let remembered = 1 << 20

    /// What came of it.
    struct Outcome {
        let stats: mos_stats
        /// What was wrong with the trace, one line each; empty: it was read to
        /// its end.
        let complaints: [String]
    }

    /// Feeds the collector.
    func run(into collector: FlowCollector) throws -> Outcome {
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
                rx_checksum = \(verifiesChecksums ? 1 : 0)
                rmem_size = \(Self.remembered)
                tcp_timeout = \(idleSeconds)
                tcp_tw_interval = 0
            }

            """)
        setenv("MOS_LOG", "warning", 1)
        let library = try LibraryMessages()
        let result = Result { try read(configuration.path, into: collector) }
        let messages = library.end().map { $0.replacing(trace.devicePath, with: trace.name) }
        switch result {
        case .success(let stats):
            return Outcome(stats: stats, complaints: messages)
        case .failure(let error as ToolError):
            // The library's own words say more than errno.
            throw messages.last.map { ToolError($0) } ?? error
        case .failure(let error):
            throw error
        }
    }

    private func read(_ configuration: String, into collector: FlowCollector) throws -> mos_stats {
        guard mtcp_init(configuration) == 0 else {
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
