import ArgumentParser

struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows what this machine offers libmos, and what to do about what is missing.",
        discussion: """
            Traces need nothing of this. The lines marked with an exclamation mark limit what else \
            can be done; an arrow says how to change that.
            """
    )

    func run() throws {
        let output = StandardStream.output
        let findings = Machine.examine()
        let width = findings.map(\.subject.count).max() ?? 0
        output.write("libmos \(Version.text)\n")
        for finding in findings {
            let indent = String(repeating: " ", count: width + 4)
            output.write(
                (finding.isGood ? "  " : "! ") + finding.subject
                    + String(repeating: " ", count: width + 2 - finding.subject.count)
                    + finding.text + "\n")
            for advice in finding.advice {
                output.write(indent + "-> " + advice + "\n")
            }
        }
    }
}
