// RFC 791 §3.1, RFC 1122 §3.2.1.8, RFC 7126.

extension Packet {
    /// Whether a host takes a datagram with these options, as Linux is set up
    /// (__ip_options_compile()): none whose length is wrong, no source route,
    /// no record that cannot be written. (CIPSO, 134, is up to the host's own
    /// table.)
    var isHeededWithOptions: Bool {
        let length = Int(tcpOffset) &- Int(ipOffset) &- 20
        // In bounds: the parser has seen the whole header.
        let options = frame + (Int(ipOffset) &+ 20)
        var hasRoute = false
        var hasTimestamp = false
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
                // Record route, once; the pointer counts from 1, behind
                // itself. Beyond the option: the record is full.
                guard !hasRoute, size >= 3 else { return false }
                let pointer = Int(options[i &+ 2])
                guard pointer >= 4, pointer > size || pointer &+ 3 <= size else { return false }
                hasRoute = true
            case 68:
                // Timestamp, once: 4 bytes, and 4 of address with flags 1 and 3.
                guard !hasTimestamp, size >= 4 else { return false }
                let pointer = Int(options[i &+ 2])
                let flags = options[i &+ 3] & 0x0f
                guard pointer >= 5 else { return false }
                if pointer <= size {
                    guard pointer &+ (flags == 1 || flags == 3 ? 7 : 3) <= size else { return false }
                } else if flags != 3, options[i &+ 3] >> 4 == 15 {
                    // The count of those without room cannot be raised.
                    return false
                }
                hasTimestamp = true
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
