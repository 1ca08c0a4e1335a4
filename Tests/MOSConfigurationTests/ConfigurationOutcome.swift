import CSys
@testable import MOSStack

/// What a text came to: a configuration or an error, and the warnings.
struct ConfigurationOutcome {
    var configuration: Configuration?
    var code: Int32 = 0
    var message = ""
    var warnings: [String] = []

    init(
        _ bytes: [UInt8], fileName: String = "x.conf", cpuCount: Int = 8, netdev: String? = nil,
        logLevel: String? = nil
    ) {
        let netdevCopy = netdev.map { strdup($0)! }
        let logCopy = logLevel.map { strdup($0)! }
        defer {
            free(netdevCopy)
            free(logCopy)
        }
        let environment = ConfigurationEnvironment(
            cpuCount: cpuCount, netdev: netdevCopy.map { UnsafePointer($0) }, logLevel: logCopy.map { UnsafePointer($0) })
        var diagnostics = ConfigurationDiagnostics()
        bytes.withUnsafeBufferPointer { buffer in
            fileName.withCString { name in
                do throws(ConfigurationError) {
                    configuration = try Configuration.parse(
                        bytes: buffer, fileName: name, environment: environment, diagnostics: &diagnostics)
                } catch {
                    code = error.code
                    message = string(error.message)
                }
            }
        }
        warnings = diagnostics.messages.map(string)
    }

    init(_ text: String, cpuCount: Int = 8, netdev: String? = nil, logLevel: String? = nil) {
        self.init(Array(text.utf8), cpuCount: cpuCount, netdev: netdev, logLevel: logLevel)
    }

    /// The warnings without those about what a dump has to repeat.
    var warningsOfText: [String] {
        warnings.filter { !$0.contains(": no backend is known ") && !$0.contains(": there is no end-host stack ") }
    }

    var written: String {
        var lines = warnings.map { "warning " + $0 + "\n" }.joined()
        if let configuration {
            lines += string(configuration.dump())
        } else {
            lines += "\(errnoName(code)) \(message)\n"
        }
        return lines
    }
}

func string(_ bytes: [CChar]) -> String {
    String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

func string(_ pointer: UnsafePointer<CChar>?) -> String? {
    pointer.map { String(cString: $0) }
}

/// The names of the errors that a configuration can end in.
func errnoName(_ code: Int32) -> String {
    let names = [
        ENOENT: "ENOENT", EACCES: "EACCES", ENOMEM: "ENOMEM", EINVAL: "EINVAL", EFBIG: "EFBIG", EISDIR: "EISDIR",
        ENOTDIR: "ENOTDIR", EIO: "EIO",
    ]
    return names[code] ?? "\(code)"
}
