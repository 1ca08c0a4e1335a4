import Glibc

/// Files of the system that are read in one piece: /proc, /sys.
enum SystemFile {
    /// The file's text, nil when it cannot be read.
    static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = Glibc.read(descriptor, &block, block.count)
            if count < 0 { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += block[..<count]
        }
    }

    /// The first line without its end; nil also when it is empty.
    static func firstLine(_ path: String) -> String? {
        read(path)?.split(separator: "\n").first.map(String.init)
    }

    /// Names in a directory, sorted; empty when it cannot be read.
    static func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The first word behind `key:` in a file of such lines (/proc/meminfo,
    /// /proc/self/status).
    static func word(_ key: String, of path: String) -> String? {
        guard let text = read(path) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
            let words = line.dropFirst(key.count + 1).split(whereSeparator: { $0 == " " || $0 == "\t" })
            return words.first.map(String.init)
        }
        return nil
    }

    /// ``word(_:of:)`` as a number.
    static func number(_ key: String, of path: String, radix: Int = 10) -> UInt64? {
        word(key, of: path).flatMap { UInt64($0, radix: radix) }
    }
}
