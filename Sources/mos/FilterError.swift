/// An expression that is no filter for connections: a mistake in the command
/// line.
struct FilterError: Error, CustomStringConvertible {
    let expression: String

    var description: String {
        """
        --filter: "\(expression)" is not a filter for connections. It may hold the words tcp, host, src, dst, \
        net, mask, port, portrange, not, and, or, with addresses and numbers; for example: \
        host 10.0.0.1 and port 80
        """
    }
}
