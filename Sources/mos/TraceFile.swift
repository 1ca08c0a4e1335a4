import Glibc

/// A trace as the command line names it, opened once to see that it is one.
struct TraceFile {
    /// As given; `-` is standard input.
    let name: String
    /// What a `pcap:` device of the configuration takes for it.
    let devicePath: String
    /// Bytes; nil when it is not a regular file.
    let size: UInt64?
    /// Held open while `devicePath` leads to it; -1: none.
    private let descriptor: Int32

    init(_ name: String) throws {
        self.name = name
        if name == "-" {
            guard isatty(STDIN_FILENO) == 0 else {
                throw ToolError("-: standard input is a terminal, not a trace")
            }
            devicePath = "-"
            size = nil
            descriptor = -1
            return
        }
        let descriptor = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw ToolError("\(name): \(reason(errno))") }
        do {
            size = try Self.size(descriptor, name)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        // A pipe has one reader: it is left to the library. A name that the
        // configuration could take for something else is reached through the
        // descriptor.
        if size == nil || name.utf8.allSatisfy(Self.isPlain) {
            Glibc.close(descriptor)
            self.descriptor = -1
            devicePath = name
        } else {
            self.descriptor = descriptor
            devicePath = "/dev/fd/\(descriptor)"
        }
    }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// The size of a trace, nil for a pipe or device; an error for what is none.
    private static func size(_ descriptor: Int32, _ name: String) throws -> UInt64? {
        var status = stat()
        fstat(descriptor, &status)
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            try checkMagic(descriptor, name)
            return UInt64(status.st_size)
        case S_IFDIR:
            throw ToolError("\(name): is a directory, not a trace")
        default:
            return nil
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"):
            true
        default:
            false
        }
    }

    /// The first four bytes of captures and of what is often given instead.
    private static func checkMagic(_ descriptor: Int32, _ name: String) throws {
        var bytes = [UInt8](repeating: 0, count: 4)
        let count = pread(descriptor, &bytes, 4, 0)
        guard count == 4 else { throw ToolError("\(name): is not a capture file (too short)") }
        let magic = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        switch magic {
        case 0xA1B2_C3D4, 0xD4C3_B2A1,  // pcap, microseconds
            0xA1B2_3C4D, 0x4D3C_B2A1,  // pcap, nanoseconds
            0xA1B2_CD34, 0x34CD_B2A1,  // pcap of Kuznetzov's libpcap
            0x0A0D_0D0A:  // pcapng
            return
        case 0x1F8B_0000...0x1F8B_FFFF:
            throw ToolError("\(name): is compressed; try: zcat \(name) | mos flows -")
        case 0x28B5_2FFD:
            throw ToolError("\(name): is compressed; try: zstdcat \(name) | mos flows -")
        case 0xFD37_7A58:
            throw ToolError("\(name): is compressed; try: xzcat \(name) | mos flows -")
        default:
            throw ToolError("\(name): is not a capture file (neither pcap nor pcapng)")
        }
    }
}
