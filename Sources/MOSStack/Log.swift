import CMOS
import CSys
import MOSPacketIO

/// Messages for people, on standard error and in the file that `mos_log` asks
/// for; never on standard output.
enum Log {
    static func error(_ text: UnsafePointer<CChar>?) {
        if let text { csys_log(Int32(CSYS_LOG_ERROR), text) }
    }

    static func warning(_ text: UnsafePointer<CChar>?) {
        if let text { csys_log(Int32(CSYS_LOG_WARNING), text) }
    }

    /// What is wrong with a device, which a message about its replacement
    /// alone does not name.
    static func error(_ text: UnsafePointer<CChar>, of device: ConfigurationDevice) {
        guard device.replacement != nil else { return error(text) }
        var message = ConfigurationMessage()
        message.append(cleaned: device.name)
        message.append(": ")
        message.append(raw: text)
        message.finished().withUnsafeBufferPointer { error($0.baseAddress) }
    }

    /// As the configuration has it.
    static func open(_ configuration: Configuration, _ diagnostics: inout ConfigurationDiagnostics) {
        let code = csys_log_open(configuration.logDirectory, Int32(configuration.logLevel.rawValue))
        if code != 0 { configuration.warnOfLog(code, &diagnostics) }
        // What goes wrong while packets flow comes from the room below.
        PacketIOLog.sink = { line in csys_log(Int32(CSYS_LOG_WARNING), line) }
    }

    static func close() { csys_log_close() }

    static func totals(_ context: Context) {
        var sum = mos_stats()
        for at in 0..<context.settings.interfaceCount { sum.add(context.portStats[at]) }
        sum.addContext(context)
        var totals = csys_totals()
        totals.packets = sum.rx_packets
        totals.bytes = sum.rx_bytes
        totals.flows = sum.flows_total
        totals.orphans = sum.orphans
        totals.errors = sum.receiveErrors
        totals.drops = sum.allDrops
        totals.gaps = sum.gaps
        totals.overruns = sum.overruns
        csys_log_totals(Int32(CSYS_LOG_INFO), Int32(context.cpu), &totals)
    }

    static func checksums(_ context: Context, bad: UInt64, of packets: UInt64) {
        csys_log_checksums(Int32(CSYS_LOG_WARNING), Int32(context.cpu), bad, packets)
    }
}

extension mos_stats {
    var receiveErrors: UInt64 {
        rx_short_frame &+ rx_bad_length &+ rx_bad_ip_checksum &+ rx_bad_tcp_checksum &+ rx_bad_tcp_offset &+ rx_truncated
    }

    var allDrops: UInt64 {
        drop_app &+ drop_tx &+ drop_no_route &+ drop_no_memory &+ drop_flow_table_full &+ drop_fragment &+ drop_source
    }
}
