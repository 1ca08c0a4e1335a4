import ArgumentParser
import CMOS
import Glibc

/// What the handlers of `mos flows` gather. They run on the stack thread; the
/// main thread touches a collector only before and after `mtcp_app_join`.
final class FlowCollector {
    private(set) var records: [FlowRecord] = []
    /// Where lines of JSON go as connections end; nil: records are kept instead.
    private let stream: StandardStream?
    private let trace: String
    private var buffer = ""

    /// The handlers' collector: a C callback has no place for one.
    nonisolated(unsafe) static var current: FlowCollector?

    init(trace: String, json stream: StandardStream?) {
        self.trace = trace
        self.stream = stream
    }

    func add(_ record: FlowRecord) {
        guard let stream else {
            records.append(record)
            return
        }
        buffer += record.jsonLine(trace: trace)
        if buffer.utf8.count >= 1 << 14 {
            stream.write(buffer)
            buffer.removeAll(keepingCapacity: true)
        }
    }

    /// Connections end in another order than they start: puts the first first.
    func finish() {
        records.sort { $0.info.start_ns < $1.info.start_ns }
        stream?.write(buffer)
        buffer = ""
    }

    /// A listener for all connections of both IP versions that pass the filter.
    static func listen(_ context: mctx_t, filter: String?) throws {
        let socket = mtcp_socket(context, AF_UNSPEC, Int32(MOS_SOCK_MONITOR_STREAM.rawValue), 0)
        guard socket >= 0 else { throw ToolError("no monitoring socket: \(reason(errno))") }
        if let filter {
            try bind(filter, to: socket, of: context)
        }
        // What was received is remembered, the bytes are not.
        var nothing: Int32 = 0
        let length = socklen_t(MemoryLayout<Int32>.size)
        guard mtcp_setsockopt(context, socket, SOL_MONSOCKET, Int32(MOS_FRAG_CLIBUF.rawValue), &nothing, length) == 0,
            mtcp_setsockopt(context, socket, SOL_MONSOCKET, Int32(MOS_FRAG_SVRBUF.rawValue), &nothing, length) == 0
        else { throw ToolError("no buffers without payload: \(reason(errno))") }
        let sender = Int32(MOS_HK_SND.rawValue)
        let receiver = Int32(MOS_HK_RCV.rawValue)
        let registered =
            mtcp_register_callback(context, socket, event(MOS_ON_TCP_STATE_CHANGE), sender, flowsOnStateChange)
            | mtcp_register_callback(context, socket, event(MOS_ON_TCP_STATE_CHANGE), receiver, flowsOnStateChange)
            | mtcp_register_callback(context, socket, event(MOS_ON_CONN_END), sender, flowsOnEnd)
        guard registered == 0 else { throw ToolError("no handlers: \(reason(errno))") }
    }

    private static func bind(_ expression: String, to socket: Int32, of context: mctx_t) throws {
        guard let text = strdup(expression) else { throw ToolError("no memory") }
        defer { free(text) }
        var filter = monitor_filter()
        filter.stream_syn_filter = text
        filter.stream_orphan_filter = nil
        guard mtcp_bind_monitor_filter(context, socket, &filter) == 0 else {
            throw FilterError(expression: expression)
        }
    }

    private static func event(_ type: mos_event_type) -> event_t { event_t(type.rawValue) }
}

/// The pair of states is packed into the socket's user context: client's,
/// server's, and a bit that says that they are there.
private let statesAreKnown: UInt = 1 << 16

@c
func flowsOnStateChange(
    _ context: mctx_t?, _ socket: Int32, _ side: Int32, _ event: event_t,
    _ argument: UnsafeMutablePointer<filter_arg_t>?
) {
    var client: Int32 = 0
    var server: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard mtcp_getsockopt(context, socket, SOL_MONSOCKET, Int32(MOS_TCP_STATE_CLI.rawValue), &client, &length) == 0,
        mtcp_getsockopt(context, socket, SOL_MONSOCKET, Int32(MOS_TCP_STATE_SVR.rawValue), &server, &length) == 0,
        // The end closes both, which says no more than that it is the end.
        client != 0 || server != 0
    else { return }
    let states = UInt(UInt8(truncatingIfNeeded: client)) | UInt(UInt8(truncatingIfNeeded: server)) << 8
    mtcp_set_uctx(context, socket, UnsafeMutableRawPointer(bitPattern: states | statesAreKnown))
}

/// Called for each side; the first call takes the account.
@c
func flowsOnEnd(
    _ context: mctx_t?, _ socket: Int32, _ side: Int32, _ event: event_t,
    _ argument: UnsafeMutablePointer<filter_arg_t>?
) {
    guard let states = mtcp_get_uctx(context, socket) else { return }
    mtcp_set_uctx(context, socket, nil)

    var record = FlowRecord()
    record.clientState = UInt8(truncatingIfNeeded: UInt(bitPattern: states))
    record.serverState = UInt8(truncatingIfNeeded: UInt(bitPattern: states) >> 8)
    guard mos_flow_info(context, socket, &record.info, MemoryLayout<mos_flow_info>.size) == 0 else { return }
    if record.info.family == UInt32(AF_INET6) {
        var length = socklen_t(2 * MemoryLayout<sockaddr_in6>.size)
        // Two sockaddr_in6 lie side by side in the pair.
        let result = withUnsafeMutableBytes(of: &record.addresses) {
            mtcp_getpeername(context, socket, $0.bindMemory(to: sockaddr.self).baseAddress, &length, Int32(MOS_SIDE_BOTH))
        }
        guard result == 0 else { return }
    } else {
        for side in [Int32(MOS_SIDE_CLI), Int32(MOS_SIDE_SVR)] {
            var address = sockaddr_in6()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            // A sockaddr_in is shorter than the sockaddr_in6 that takes it.
            let result = withUnsafeMutableBytes(of: &address) {
                mtcp_getpeername(context, socket, $0.bindMemory(to: sockaddr.self).baseAddress, &length, side)
            }
            guard result == 0 else { return }
            if side == Int32(MOS_SIDE_CLI) { record.addresses.0 = address } else { record.addresses.1 = address }
        }
    }
    FlowCollector.current?.add(record)
}

/// The system's words for an error number.
func reason(_ code: Int32) -> String {
    String(cString: strerror(code))
}
