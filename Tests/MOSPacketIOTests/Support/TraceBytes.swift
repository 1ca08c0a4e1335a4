/// Writes capture files byte by byte, in either byte order, so that the tests
/// do not depend on what libpcap can write.
struct TraceBytes {
    enum Order { case little, big }

    var bytes: [UInt8] = []
    let order: Order

    init(_ order: Order = .little) {
        self.order = order
    }

    mutating func put16(_ value: UInt16) {
        let pair = [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
        bytes += order == .little ? pair : pair.reversed()
    }

    mutating func put32(_ value: UInt32) {
        let quad = (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
        bytes += order == .little ? quad : quad.reversed()
    }

    // MARK: pcap

    static let micro: UInt32 = 0xA1B2_C3D4
    static let nano: UInt32 = 0xA1B2_3C4D

    static func pcap(
        _ order: Order = .little, magic: UInt32 = micro, link: UInt32 = 1, snaplen: UInt32 = 262_144
    ) -> TraceBytes {
        var file = TraceBytes(order)
        file.put32(magic)
        file.put16(2)
        file.put16(4)
        file.put32(0)
        file.put32(0)
        file.put32(snaplen)
        file.put32(link)
        return file
    }

    mutating func record(_ seconds: UInt32, _ fraction: UInt32, _ data: [UInt8], original: Int? = nil) {
        put32(seconds)
        put32(fraction)
        put32(UInt32(data.count))
        put32(UInt32(original ?? data.count))
        bytes += data
    }

    // MARK: pcapng

    mutating func block(_ type: UInt32, _ body: (inout TraceBytes) -> Void) {
        var content = TraceBytes(order)
        body(&content)
        while content.bytes.count % 4 != 0 { content.bytes.append(0) }
        let length = UInt32(content.bytes.count + 12)
        put32(type)
        put32(length)
        bytes += content.bytes
        put32(length)
    }

    /// Section header and one interface; `resolution` is if_tsresol.
    static func pcapng(_ order: Order = .little, link: UInt16 = 1, resolution: UInt8? = nil) -> TraceBytes {
        var file = TraceBytes(order)
        file.block(0x0A0D_0D0A) {
            $0.put32(0x1A2B_3C4D)
            $0.put16(1)
            $0.put16(0)
            $0.put32(0xFFFF_FFFF)
            $0.put32(0xFFFF_FFFF)
        }
        file.block(1) {
            $0.put16(link)
            $0.put16(0)
            $0.put32(262_144)
            if let resolution {
                $0.put16(9)
                $0.put16(1)
                $0.bytes += [resolution, 0, 0, 0]
                $0.put16(0)
                $0.put16(0)
            }
        }
        return file
    }

    mutating func enhancedPacket(_ ticks: UInt64, _ data: [UInt8], original: Int? = nil) {
        block(6) {
            $0.put32(0)
            $0.put32(UInt32(ticks >> 32))
            $0.put32(UInt32(truncatingIfNeeded: ticks))
            $0.put32(UInt32(data.count))
            $0.put32(UInt32(original ?? data.count))
            $0.bytes += data
        }
    }
}

/// An Ethernet frame of that many bytes (at least 18) that carries a number.
func frame(_ number: Int, size: Int = 60) -> [UInt8] {
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
    bytes.replaceSubrange(
        0..<18,
        with: [
            2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00,
            UInt8(truncatingIfNeeded: number >> 24), UInt8(truncatingIfNeeded: number >> 16),
            UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number),
        ])
    return bytes
}

/// The number in such a frame.
func number(of bytes: [UInt8]) -> Int {
    bytes[14..<18].reduce(0) { $0 << 8 | Int($1) }
}
