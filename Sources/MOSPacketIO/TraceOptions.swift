import CSys

/// What follows `pcap:`. The slices are parts of the text that it was read from.
struct TraceOptions {
    /// `-`: standard input.
    let file: TextSlice
    /// `-`: standard output.
    private(set) var out: TextSlice?
    /// Trace time per wall time; 0: as fast as it goes.
    private(set) var speed = 0.0
    private(set) var loop: UInt64 = 1

    var isStandardInput: Bool { file.equals("-") }

    /// Throws `EINVAL` after writing the reason to `message`.
    init(_ spec: UnsafePointer<CChar>, _ message: inout MessageWriter) throws(PortError) {
        var parts = DeviceOptions(spec)
        file = parts.name
        if file.isEmpty {
            message.append("pcap: no file named; write pcap:FILE, or pcap:- for standard input")
            throw PortError(code: EINVAL)
        }
        while let option = parts.next() {
            if option.key.equals("out") {
                guard !option.value.isEmpty else { throw parts.refuse(option, "out= takes a file", &message) }
                out = option.value
            } else if option.key.equals("speed") {
                guard let speed = option.value.positiveFraction else {
                    throw parts.refuse(option, "speed= takes a number above 0", &message)
                }
                self.speed = speed
            } else if option.key.equals("loop") {
                guard let loop = option.value.decimal, loop >= 1 else {
                    throw parts.refuse(option, "loop= takes a whole number from 1", &message)
                }
                self.loop = loop
            } else {
                throw parts.refuse(option, "known are out= speed= loop=; a comma in a name is written \\,", &message)
            }
        }
    }
}
