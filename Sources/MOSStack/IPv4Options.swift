// RFC 791 §3.1, RFC 1122 §3.2.1.8, RFC 7126.

import MOSWire

extension Packet {
    @inline(__always)
    var hasIPv4Options: Bool { ipVersion == 4 && tcpOffset &- ipOffset > 20 }

    /// Whether a host takes a datagram with these options, as Linux is set up
    /// (ip_options_compile()): none whose length is wrong, no source route.
    var isHeededWithOptions: Bool {
        let length = Int(tcpOffset) &- Int(ipOffset) &- 20
        // In bounds: the parser has seen the whole header.
        let options = frame + (Int(ipOffset) &+ 20)
        var i = 0
        while i < length {
            let kind = options[i]
            if kind == 0 { return true }
            if kind == 1 {
                i &+= 1
                continue
            }
            guard i &+ 1 < length else { return false }
            let size = Int(options[i &+ 1])
            guard size >= 2, i &+ size <= length else { return false }
            switch kind {
            case 131, 137:
                // Loose and strict source route.
                return false
            case 7:
                // Record route; the pointer counts from 1, behind itself.
                guard size >= 3, options[i &+ 2] >= 4 else { return false }
            case 68:
                // Timestamp.
                guard size >= 4, options[i &+ 2] >= 5 else { return false }
            case 148:
                // Router alert.
                guard size >= 4 else { return false }
            default:
                break
            }
            i &+= size
        }
        return true
    }
}
