import CMOS
import Glibc

extension FlowRecord {
    /// One line of `mos flows --json`; mos(1) describes the members.
    func jsonLine(trace: String) -> String {
        var object = JSONObject()
        object.add("trace", trace)
        object.add("start", Quantity.timestamp(info.start_ns))
        object.add("start_ns", info.start_ns)
        object.add("duration", decimal: Quantity.seconds(duration, digits: 9))
        object.add("end", end)
        object.add("client", Self.side(client, state: clientState, info.side.0))
        object.add("server", Self.side(server, state: serverState, info.side.1))
        return object.line
    }

    private static func side(_ endpoint: Endpoint, state: UInt8, _ side: mos_flow_side) -> JSONObject {
        var object = JSONObject()
        object.add("address", endpoint.address)
        object.add("port", UInt64(endpoint.port))
        object.add("state", name(ofState: state))
        object.add("packets", side.packets)
        object.add("wire_bytes", side.wire_bytes)
        object.add("payload_bytes", side.payload_bytes)
        object.add("retransmitted_packets", side.retransmitted_packets)
        object.add("retransmitted_bytes", side.retransmitted_bytes)
        object.add("out_of_order_packets", side.out_of_order_packets)
        object.add("gaps", side.gaps)
        object.add("gap_bytes", side.gap_bytes)
        return object
    }
}
