import MOSStorage

/// What a `StreamBuffer` should do, byte by byte: a map of the bytes held and
/// the three offsets. Positions are relative to `origin`.
final class StreamModel {
    static let window = 1 << 16

    let origin: UInt64
    var mode = StreamBuffer.Mode.payload
    var inOrderEnd = 0
    var heldStart = 0
    var highestEnd = 0
    /// 1 where a byte is held.
    let held = UnsafeMutablePointer<UInt8>.allocate(capacity: window)
    let content = UnsafeMutablePointer<UInt8>.allocate(capacity: window)

    init(origin: UInt64) {
        self.origin = origin
        held.initialize(repeating: 0, count: Self.window)
        content.initialize(repeating: 0, count: Self.window)
    }

    deinit {
        held.deallocate()
        content.deallocate()
    }

    private func settle() {
        while held[inOrderEnd] != 0 { inOrderEnd += 1 }
        while heldStart < inOrderEnd, held[heldStart] == 0 { heldStart += 1 }
        highestEnd = max(highestEnd, inOrderEnd)
    }

    /// Takes the bytes below `cut`.
    func insert(_ offset: Int, _ bytes: UnsafePointer<UInt8>, _ length: Int, lastWins: Bool,
                cut: Int) -> (stored: Int, replaced: Int) {
        var stored = 0
        var replaced = 0
        let oldEnd = inOrderEnd
        var p = max(offset, heldStart)
        let end = min(offset + length, cut)
        while p < end {
            if held[p] != 0 {
                if lastWins, mode == .payload {
                    content[p] = bytes[p - offset]
                    replaced += 1
                }
            } else if p >= oldEnd {
                held[p] = 1
                content[p] = bytes[p - offset]
                stored += 1
            }
            p += 1
        }
        if stored > 0 { highestEnd = max(highestEnd, end) }
        settle()
        return (stored, replaced)
    }

    func hasReceived(_ offset: Int, _ length: Int) -> Bool {
        // Nothing lies before the stream.
        var p = max(offset, -Int(origin))
        guard p < offset + length else { return false }
        if p < heldStart { return true }
        while p < offset + length {
            if held[p] != 0 { return true }
            p += 1
        }
        return false
    }

    func skip(to offset: Int, discard: Bool) -> (missing: Int, discarded: Int) {
        guard offset > inOrderEnd else { return (0, 0) }
        var discarded = 0
        if discard {
            discarded = clear(heldStart, inOrderEnd)
            heldStart = inOrderEnd
        }
        var missing = 0
        for p in inOrderEnd..<offset where held[p] == 0 { missing += 1 }
        inOrderEnd = offset
        settle()
        return (missing, discarded)
    }

    func advance(_ length: Int) {
        guard length > 0 else { return }
        _ = clear(heldStart, inOrderEnd + length)
        inOrderEnd += length
        heldStart = inOrderEnd
        settle()
    }

    func trim(below offset: Int) {
        let limit = min(offset, inOrderEnd)
        guard limit > heldStart else { return }
        _ = clear(heldStart, limit)
        heldStart = limit
        settle()
    }

    func removeAll() {
        _ = clear(heldStart, highestEnd)
        heldStart = inOrderEnd
    }

    func setMode(_ newMode: StreamBuffer.Mode) {
        guard newMode != mode else { return }
        mode = newMode
        if newMode == .payload { removeAll() }
    }

    private func clear(_ start: Int, _ end: Int) -> Int {
        var count = 0
        var p = start
        while p < end {
            count += Int(held[p])
            held[p] = 0
            p += 1
        }
        return count
    }
}
