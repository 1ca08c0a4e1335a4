/// One line of `mos doctor`.
struct Finding {
    let subject: String
    let text: String
    /// What to do; empty when nothing is missing.
    var advice: [String] = []

    var isGood: Bool { advice.isEmpty }
}
