import ArgumentParser

/// The command-line tool of libmos. It uses what every program can use: the C
/// interface of the library.
@main
struct Mos: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mos",
        abstract: "Looks at TCP connections with libmos, and at what libmos needs.",
        discussion: """
            Exit status: 0 when all went well, 1 when a trace, a configuration or \
            this machine did not allow it, 64 for a wrong command line.
            """,
        version: "mos (libmos) \(Version.text)",
        subcommands: [Flows.self, CheckConfig.self, Doctor.self]
    )
}
