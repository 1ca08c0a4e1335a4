/// Something that ends a command with exit status 1. The text is complete: what
/// went wrong with what, and where possible what to do.
struct ToolError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
