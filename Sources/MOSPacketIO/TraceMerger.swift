import CMOS
import CSys

/// Several trace ports as one, in the order of the frames' times; where they
/// are equal, the port that was named first goes first. The order depends on
/// the files alone. For one thread at a time.
///
/// A burst ends early where one port's own burst is used up, because the
/// frames of that one have to stay where they are until the next receive.
///
/// A port that has nothing now (a pipe whose writer is slow, a trace that is
/// played in real time) is waited for before the others go on, but not for
/// more than `patience`: after that, order across ports is best effort until
/// it gives something again.
public struct TraceMerger {
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var inputs: UnsafeMutablePointer<Input>
        var count: Int
    }

    private struct Input {
        let port: Port
        var frames: UnsafeMutablePointer<mos_io_frame>
        var next = 0
        var count = 0
        var ended = false
        /// CLOCK_MONOTONIC since when it has nothing; 0: it has.
        var idleSince: UInt64 = 0
    }

    /// Wall-clock nanoseconds that a silent port may hold up the others.
    public static let patience: UInt64 = 200_000_000

    /// nil without memory or without ports. The ports stay the caller's to close.
    public init?(ports: UnsafeBufferPointer<Port>) {
        guard ports.count > 0 else { return nil }
        let stateMemory = malloc(MemoryLayout<State>.stride)
        let inputMemory = malloc(ports.count * MemoryLayout<Input>.stride)
        let frameMemory = malloc(ports.count * Int(MOS_IO_BURST) * MemoryLayout<mos_io_frame>.stride)
        guard let stateMemory, let inputMemory, let frameMemory else {
            free(stateMemory)
            free(inputMemory)
            free(frameMemory)
            return nil
        }
        let inputs = inputMemory.bindMemory(to: Input.self, capacity: ports.count)
        let frames = frameMemory.bindMemory(to: mos_io_frame.self, capacity: ports.count * Int(MOS_IO_BURST))
        for i in 0..<ports.count {
            (inputs + i).initialize(to: Input(port: ports[i], frames: frames + i * Int(MOS_IO_BURST)))
        }
        state = stateMemory.bindMemory(to: State.self, capacity: 1)
        state.initialize(to: State(inputs: inputs, count: ports.count))
    }

    /// Frees the merger, not its ports.
    public func destroy() {
        free(state.pointee.inputs[0].frames)
        free(state.pointee.inputs)
        free(state)
    }

    /// As `Port.receive`, over all ports. `mos_io_frame.port` tells them apart.
    /// `MOS_IO_END` when all have ended; one that fails counts as ended.
    public func receive(into out: UnsafeMutablePointer<mos_io_frame>, max: UInt32) -> Int32 {
        // Everything that earlier bursts held is given up now, so a port whose
        // frames are all consumed may be read again.
        switch fill() {
        case .waiting: return 0
        case .ended: return Int32(MOS_IO_END)
        case .ready: break
        }
        var given: UInt32 = 0
        while given < max {
            guard let input = earliest() else { break }
            // In bounds: given < max, next < count <= MOS_IO_BURST.
            out[Int(given)] = input.pointee.frames[input.pointee.next]
            given &+= 1
            input.pointee.next &+= 1
            if input.pointee.next == input.pointee.count { break }
        }
        return Int32(clamping: given)
    }

    private enum Readiness {
        case ready, waiting, ended
    }

    private func fill() -> Readiness {
        var ready = false
        var waiting = false
        var patient = false
        var now: UInt64 = 0
        for i in 0..<state.pointee.count {
            let input = state.pointee.inputs + i
            if input.pointee.next == input.pointee.count, !input.pointee.ended {
                let n = input.pointee.port.receive(
                    queue: 0, into: input.pointee.frames, max: UInt32(MOS_IO_BURST))
                input.pointee.next = 0
                input.pointee.count = Int(Swift.max(n, 0))
                input.pointee.ended = n < 0
                if n != 0 {
                    input.pointee.idleSince = 0
                } else {
                    if now == 0 { now = MonotonicClock.now() }
                    if input.pointee.idleSince == 0 { input.pointee.idleSince = now }
                    waiting = true
                    if now &- input.pointee.idleSince < Self.patience { patient = true }
                }
            }
            if input.pointee.next < input.pointee.count { ready = true }
        }
        if patient || (waiting && !ready) { return .waiting }
        return ready ? .ready : .ended
    }

    private func earliest() -> UnsafeMutablePointer<Input>? {
        var best: UnsafeMutablePointer<Input>?
        var bestTime = UInt64.max
        for i in 0..<state.pointee.count {
            let input = state.pointee.inputs + i
            guard input.pointee.next < input.pointee.count else { continue }
            let time = input.pointee.frames[input.pointee.next].time_ns
            if best == nil || time < bestTime {
                best = input
                bestTime = time
            }
        }
        return best
    }
}
