// RFC 2385: the MD5 signature option.

import MOSWire

extension Packet {
    /// Whether there is room for a signature among the options: what nearly
    /// all segments with payload need not be looked through for.
    @inline(__always)
    var mayBeSigned: Bool { payloadOffset &- tcpOffset >= 38 }

    /// Whether the segment carries the option. Ask `mayBeSigned` first.
    var isSigned: Bool {
        let length = Int(payloadOffset) &- Int(tcpOffset) &- 20
        // In bounds: the parser has seen the whole header.
        let options = frame + (Int(tcpOffset) &+ 20)
        var i = 0
        while i < length {
            let kind = options[i]
            if kind == 0 { return false }
            if kind == 1 {
                i &+= 1
                continue
            }
            guard i &+ 1 < length else { return false }
            let size = Int(options[i &+ 1])
            guard size >= 2, i &+ size <= length else { return false }
            if kind == 19, size == 18 { return true }
            i &+= size
        }
        return false
    }
}
