import ArgumentParser
import CMOS
import Glibc

struct Flows: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the TCP connections of traces.",
        discussion: """
            One row for each connection whose SYN is in the trace, in the order of their starts. \
            The columns marked > count what the client sent, those marked < what the server sent.
            """
    )

    @Flag(help: "One JSON object per line, as the connections end.")
    var json = false

    @Option(help: ArgumentHelp("Only connections whose first SYN passes this pcap filter.", valueName: "expression"))
    var filter: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Leave out packets with a wrong checksum. Captures taken on a sending host need --no-rx-checksum.")
    var rxChecksum = true

    @Option(help: ArgumentHelp("A connection without packets for so long has ended.", valueName: "seconds"))
    var idle: UInt32 = 300

    @Argument(
        help: ArgumentHelp("Capture files (pcap, pcapng); - is standard input.", valueName: "trace"),
        completion: .file(extensions: ["pcap", "pcapng", "cap", "dump"]))
    var traces: [String]

    func validate() throws {
        guard (1...1_000_000).contains(idle) else {
            throw ValidationError("--idle takes 1 to 1000000 seconds.")
        }
        guard traces.filter({ $0 == "-" }).count <= 1 else {
            throw ValidationError("Standard input (-) can be read only once.")
        }
    }

    func run() throws {
        // The traces are the devices here, whatever the user runs otherwise.
        unsetenv("MOS_NETDEV")
        var failed = false
        for (index, name) in traces.enumerated() where !TraceRun.wasInterrupted {
            do {
                if try !show(name, isFirst: index == 0) { failed = true }
            } catch let error as ToolError {
                StandardStream.error.write("mos: \(error)\n")
                failed = true
            } catch let error as FilterError {
                StandardStream.error.write("mos: \(error)\n")
                throw ExitCode.validationFailure
            }
        }
        if TraceRun.wasInterrupted { throw ExitCode(130) }
        if failed { throw ExitCode.failure }
    }

    /// Returns whether the trace was read to its end.
    private func show(_ name: String, isFirst: Bool) throws -> Bool {
        let output = StandardStream.output
        let trace = try TraceFile(name)
        defer { trace.close() }
        let collector = FlowCollector(trace: name, json: json ? output : nil)
        let run = TraceRun(trace: trace, filter: filter, verifiesChecksums: rxChecksum, idleSeconds: idle)
        let outcome = try run.run(into: collector)
        if !json {
            if traces.count > 1 {
                output.write((isFirst ? "" : "\n") + name + ":\n")
            }
            let missing = FlowTable(forPeople: output.isTerminal).write(collector.records, to: output)
            if output.isTerminal {
                let sums = FlowTable.sums(of: collector.records, outcome.stats, countsOrphans: filter == nil)
                output.write(sums + "\n")
            }
            if !missing.isEmpty {
                output.write("no room for \(missing.joined(separator: " "))\n")
            }
        }
        for complaint in outcome.complaints { StandardStream.error.write("mos: \(complaint)\n") }
        hint(name, outcome.stats)
        return outcome.complaints.isEmpty
    }

    /// What a reader of the list should know about what is not in it.
    private func hint(_ name: String, _ stats: mos_stats) {
        func say(_ text: String) { StandardStream.error.write("mos: \(name): \(text)\n") }
        let wrong = stats.rx_bad_tcp_checksum + stats.rx_bad_ip_checksum
        if rxChecksum && wrong > 0 && wrong >= stats.rx_packets / 20 {
            say(
                """
                \(wrong) of \(stats.rx_packets) packets have a wrong checksum and were left out. If this was \
                captured on one of the hosts, whose network card fills checksums in later, try --no-rx-checksum.
                """)
        }
        if stats.drop_flow_table_full > 0 {
            say("\(stats.drop_flow_table_full) connections are missing: too many at the same time.")
        }
        if stats.flows_total == 0 && stats.orphans > 0 && filter == nil {
            say("no connection starts here: \(stats.orphans) TCP packets belong to connections without a SYN.")
        }
    }
}
