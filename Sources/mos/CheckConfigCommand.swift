import ArgumentParser
import CMOS
import Glibc

struct CheckConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Checks a configuration file as a program would read it.",
        discussion: """
            Errors and warnings are lines of the form file:line: text on standard error. \
            Devices are not opened, but their options are checked. MOS_NETDEV counts as it does for a program.
            """
    )

    @Flag(help: "Exit with status 1 for warnings as well.")
    var strict = false

    @Flag(name: .shortAndLong, help: "No summary of what was read.")
    var quiet = false

    @Argument(
        help: ArgumentHelp("The configuration file.", valueName: "file"),
        completion: .file(extensions: ["conf"]))
    var file: String

    func run() throws {
        setenv("MOS_LOG", "warning", 1)
        let library = try LibraryMessages()
        let result = mtcp_init(file)
        let messages = library.end()
        for message in messages { StandardStream.error.write(message + "\n") }
        guard result == 0 else {
            if messages.isEmpty { StandardStream.error.write("mos: \(file): \(reason(errno))\n") }
            throw ExitCode.failure
        }
        defer { mtcp_destroy() }
        if !quiet {
            var configuration = mtcp_conf()
            guard mtcp_getconf(&configuration) == 0 else {
                throw ToolError("\(file): cannot be read back: \(reason(errno))")
            }
            StandardStream.output.write(summary(configuration))
        }
        if strict && !messages.isEmpty { throw ExitCode.failure }
    }

    private func summary(_ configuration: mtcp_conf) -> String {
        var lines = [
            ("cores", "\(configuration.num_cores)" + cpus(configuration.cpu_mask)),
            ("connections", "\(configuration.max_concurrency) for each core"),
            ("receive buffer", "\(configuration.rcvbuf_size) bytes"),
            ("send buffer", "\(configuration.sndbuf_size) bytes"),
            ("idle timeout", configuration.tcp_timeout < 0 ? "never" : "\(configuration.tcp_timeout) s"),
            ("TIME_WAIT", "\(configuration.tcp_timewait) s"),
        ]
        for (index, application) in applications(configuration).enumerated() {
            lines.append((index == 0 ? "applications" : "", application))
        }
        let width = lines.map(\.0.count).max() ?? 0
        return lines.reduce(into: "\(file): ok\n") { text, line in
            text += line.0 + String(repeating: " ", count: width + 2 - line.0.count) + line.1 + "\n"
        }
    }

    /// The applications' command lines, one for each block with `run`.
    private func applications(_ configuration: mtcp_conf) -> [String] {
        var lines: [String] = []
        // mtcp_conf's fixed arrays are tuples here; the counts bound what is
        // read, and are themselves bounded by the arrays' lengths.
        withUnsafeBytes(of: configuration.app_argv) { arguments in
            withUnsafeBytes(of: configuration.app_argc) { counts in
                withUnsafeBytes(of: configuration.app_cpu_mask) { masks in
                    for index in 0..<min(max(0, Int(configuration.num_app)), Int(MOS_APP)) {
                        let count = counts.load(fromByteOffset: index * 4, as: Int32.self)
                        var words: [String] = []
                        for word in 0..<min(max(0, Int(count)), Int(MOS_APP_ARGC)) {
                            let offset = (index * Int(MOS_APP_ARGC) + word) * MemoryLayout<Int>.size
                            let pointer = arguments.load(
                                fromByteOffset: offset, as: UnsafePointer<CChar>?.self)
                            if let pointer { words.append(String(cString: pointer)) }
                        }
                        let mask = masks.load(fromByteOffset: index * 8, as: UInt64.self)
                        lines.append((words.isEmpty ? "-" : words.joined(separator: " ")) + cpus(mask))
                    }
                }
            }
        }
        return lines
    }

    /// ` (CPUs 0-3 6)`; empty for no mask.
    private func cpus(_ mask: UInt64) -> String {
        guard mask != 0 else { return "" }
        return " (CPU\(mask.nonzeroBitCount == 1 ? "" : "s") \(CPUList.text(mask)))"
    }
}
