// RFC 9293 §3.1 (header), §3.2 (options); RFC 7323 (window scale,
// timestamps); RFC 2018 (SACK).

/// The control bits of a TCP header (byte 13).
public enum TCPFlags {
    public static let fin: UInt8 = 0x01
    public static let syn: UInt8 = 0x02
    public static let rst: UInt8 = 0x04
    public static let psh: UInt8 = 0x08
    public static let ack: UInt8 = 0x10
    public static let urg: UInt8 = 0x20
}

/// The options of one segment that the stack uses.
public struct TCPOptions {
    /// Bytes; 0 when the option is absent.
    public var maximumSegmentSize: UInt16 = 0
    /// RFC 7323 §2.2 shift count, at most 14; nil when absent.
    public var windowScale: UInt8?
    public var sackPermitted = false
    public var hasTimestamps = false
    public var timestampValue: UInt32 = 0
    public var timestampEcho: UInt32 = 0
    /// RFC 2018 §3: right edge of the highest block reported, 0 blocks: nil.
    public var highestSACKEdge: UInt32?

    public init() {}

    /// Reads `length` bytes of options. A length that leads outside ends the
    /// reading, as end hosts do.
    public init(_ options: UnsafePointer<UInt8>, length: Int) {
        var i = 0
        while i < length {
            let kind = options[i]
            if kind == 0 { break }
            if kind == 1 {
                i &+= 1
                continue
            }
            guard i &+ 1 < length else { break }
            let size = Int(options[i &+ 1])
            guard size >= 2, i &+ size <= length else { break }
            switch (kind, size) {
            case (2, 4):
                maximumSegmentSize = options.bigEndian16(i &+ 2)
            case (3, 3):
                // RFC 7323 §2.3: a larger shift count counts as 14.
                windowScale = Swift.min(options[i &+ 2], 14)
            case (4, 2):
                sackPermitted = true
            case (8, 10):
                hasTimestamps = true
                timestampValue = options.bigEndian32(i &+ 2)
                timestampEcho = options.bigEndian32(i &+ 6)
            case (5, _):
                var edge = i &+ 6
                while edge &+ 4 <= i &+ size {
                    let right = options.bigEndian32(edge)
                    if let highest = highestSACKEdge {
                        if right.follows(highest) { highestSACKEdge = right }
                    } else {
                        highestSACKEdge = right
                    }
                    edge &+= 8
                }
            default:
                break
            }
            i &+= size
        }
    }
}
