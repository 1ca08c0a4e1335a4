/// What a Linux 6 host makes of fragments, said as simply as possible: runs
/// in an array. Knows no limits and no time.
struct FragmentModel {
    private struct Key: Hashable {
        var version: Int
        var source: UInt8
        var destination: UInt8
        var identification: UInt32
        var number: UInt8
    }

    private struct Pair: Hashable {
        var source: UInt8
        var destination: UInt8
    }

    private struct Queue {
        var runs: [Range<Int>] = []
        var bytes: [UInt8] = []
        var received = 0
        var length = 0
        var hasLast = false
        var first: FragmentPiece?
        var codepoints: Set<UInt8> = []
        var held: UInt64 = 0
        var seen = 0
    }

    private var queues: [Key: Queue] = [:]
    private var sent: [Pair: Int] = [:]
    var dropped: UInt64 = 0

    var held: UInt64 { queues.values.reduce(0) { $0 + $1.held } }

    mutating func add(_ piece: FragmentPiece) -> [UInt8]? {
        if piece.version == 6, piece.start == 0, piece.payload.isEmpty {
            // A first fragment without the transport's header.
            dropped += 1
            return nil
        }
        let key = Key(
            version: piece.version, source: piece.source, destination: piece.destination,
            identification: piece.version == 4 ? piece.identification & 0xffff : piece.identification,
            number: piece.version == 4 ? piece.number : 0)
        var queue = queues[key] ?? Queue()
        if piece.version == 4 {
            let pair = Pair(source: piece.source, destination: piece.destination)
            sent[pair, default: 0] += 1
            if !queue.runs.isEmpty, sent[pair]! - queue.seen > 64 {
                dropped += queue.held
                queue = Queue()
            }
            queue.seen = sent[pair]!
        }
        var end = piece.start + piece.payload.count
        if piece.more, end % 8 != 0 {
            if piece.version == 6 {
                dropped += 1
                return nil
            }
            end -= end % 8
        }
        if piece.version == 6, end > 65535 {
            dropped += 1
            return nil
        }
        let isImpossible: Bool
        if piece.more {
            isImpossible = queue.hasLast && end > queue.length
            queue.length = max(queue.length, end)
        } else {
            isImpossible = end < queue.length || (queue.hasLast && end != queue.length)
            queue.hasLast = true
            queue.length = end
        }
        let range = piece.start..<end
        let touched = queue.runs.filter { $0.overlaps(range) }
        if !isImpossible, !range.isEmpty, touched.count == 1, touched[0].lowerBound <= range.lowerBound,
            touched[0].upperBound >= range.upperBound
        {
            dropped += 1
            queues[key] = queue
            return nil
        }
        if isImpossible || range.isEmpty || !touched.isEmpty {
            dropped += queue.held + 1
            queues[key] = nil
            return nil
        }
        if let last = queue.runs.indices.max(by: { queue.runs[$0].upperBound < queue.runs[$1].upperBound }),
            queue.runs[last].upperBound == range.lowerBound
        {
            queue.runs[last] = queue.runs[last].lowerBound..<end
        } else {
            queue.runs.append(range)
        }
        if queue.bytes.count < end { queue.bytes += [UInt8](repeating: 0, count: end - queue.bytes.count) }
        queue.bytes.replaceSubrange(range, with: piece.payload[..<range.count])
        queue.received += range.count
        if piece.start == 0 { queue.first = piece }
        queue.codepoints.insert(piece.service & 3)
        queue.held += 1
        queues[key] = queue
        guard let first = queue.first, queue.hasLast, queue.received == queue.length else { return nil }
        queues[key] = nil
        let room = piece.version == 4 ? 65535 - 20 - first.options.count : 65535 - first.before.count
        if queue.length > room || (queue.codepoints.contains(0) && queue.codepoints.count > 1) {
            dropped += queue.held
            return nil
        }
        let isCongested = queue.codepoints.contains(3) && queue.codepoints.count > 1
        return first.whole(queue.bytes, service: isCongested ? first.service | 3 : first.service)
    }
}
