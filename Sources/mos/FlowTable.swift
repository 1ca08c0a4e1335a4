import CMOS

/// The rows of `mos flows`: rounded for people, exact for programs.
struct FlowTable {
    let forPeople: Bool

    /// Returns the titles of the columns that a terminal had no room for.
    func write(_ records: [FlowRecord], to stream: StandardStream) -> [String] {
        let day = forPeople ? commonDay(of: records) : nil
        let table = Table([
            .init(day ?? "START", .left), .init("DURATION", .right, spare: 2),
            .init("CLIENT", .left), .init("SERVER", .left),
            .init("BYTES>", .right, spare: 1), .init("BYTES<", .right, spare: 1),
            .init("PACKETS>", .right, spare: 5), .init("PACKETS<", .right, spare: 5),
            .init("STATES", .left, spare: 4), .init("END", .left),
            .init("REXMIT", .right, spare: 3), .init("GAPS", .right, spare: 3),
        ])
        return table.write(records, to: stream, room: forPeople ? stream.columns : nil) { record in
            let client = record.info.side.0
            let server = record.info.side.1
            return [
                start(record, isDayKnown: day != nil),
                forPeople ? Quantity.duration(record.duration) : Quantity.seconds(record.duration),
                record.client.text,
                record.server.text,
                bytes(client.payload_bytes),
                bytes(server.payload_bytes),
                count(client.packets),
                count(server.packets),
                record.states,
                record.end,
                count(client.retransmitted_packets + server.retransmitted_packets),
                count(client.gaps + server.gaps),
            ]
        }
    }

    /// The line below the table on a terminal. Behind a filter packets without a
    /// connection mean nothing.
    static func sums(of records: [FlowRecord], _ stats: mos_stats, countsOrphans: Bool) -> String {
        var payload: UInt64 = 0
        var packets: UInt64 = 0
        for record in records {
            payload &+= record.info.side.0.payload_bytes &+ record.info.side.1.payload_bytes
            packets &+= record.info.side.0.packets &+ record.info.side.1.packets
        }
        var text = "\(records.count) connection\(records.count == 1 ? "" : "s"): "
        text += "\(Quantity.bytes(payload)) in \(Quantity.count(packets)) packets"
        text += " (the trace: \(Quantity.bytes(stats.rx_bytes)) in \(Quantity.count(stats.rx_packets)))"
        if countsOrphans && stats.orphans > 0 {
            text += "; \(Quantity.count(stats.orphans)) TCP packets without a connection"
        }
        return text
    }

    /// The day on which all of them start: it goes into the title.
    private func commonDay(of records: [FlowRecord]) -> String? {
        guard let first = records.first, let last = records.last else { return nil }
        let day = Quantity.localTime(first.info.start_ns).prefix(10)
        return day == Quantity.localTime(last.info.start_ns).prefix(10) ? String(day) : nil
    }

    private func start(_ record: FlowRecord, isDayKnown: Bool) -> String {
        guard forPeople else { return Quantity.timestamp(record.info.start_ns) }
        let time = Quantity.localTime(record.info.start_ns)
        return isDayKnown ? String(time.dropFirst(11)) : time
    }

    private func bytes(_ count: UInt64) -> String {
        forPeople ? Quantity.bytes(count) : String(count)
    }

    private func count(_ count: UInt64) -> String {
        forPeople ? Quantity.count(count) : String(count)
    }
}
