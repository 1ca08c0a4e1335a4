// `stat_print`: what the named interfaces did, each second, on standard error.

import CMOS
import CSys
import Synchronization

/// A thread that prints until it is told to stop.
final class RatePrinter {
    private let stack: Stack
    private let devices: [Int]
    private let names: [UnsafePointer<CChar>]
    private let stopDescriptor: Int32
    private var thread = pthread_t()
    /// What was printed last, by device, and when: nothing, when the first
    /// context was made, however much has been read before the thread runs.
    private var before: [mos_stats]
    private var last: UInt64

    /// nil when the system has no descriptor or thread for it.
    init?(_ stack: Stack, _ configuration: Configuration) {
        self.stack = stack
        devices = configuration.statisticsDevices
        var list: [UnsafePointer<CChar>] = []
        for device in configuration.statisticsDevices { list.append(configuration.devices[device].name) }
        names = list
        before = Array(repeating: mos_stats(), count: list.count)
        last = SystemClock.monotonic()
        stopDescriptor = eventfd(0, Int32(EFD_CLOEXEC))
        guard stopDescriptor >= 0 else { return nil }
        let raw = Unmanaged.passUnretained(self).toOpaque()
        guard csys_start_thread(&thread, "mos-rates", -1, ratePrinterMain, raw) == 0 else {
            close(stopDescriptor)
            return nil
        }
    }

    /// Ends the thread and waits for it.
    func stop() {
        var one: UInt64 = 1
        _ = write(stopDescriptor, &one, 8)
        pthread_join(thread, nil)
        close(stopDescriptor)
    }

    fileprivate func run() {
        while true {
            var poller = pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&poller, 1, 1000)
            let now = SystemClock.monotonic()
            for at in 0..<devices.count {
                let sum = stack.total(interface: devices[at])
                // At the end, the rest of a second in which something happened.
                if ready != 0, sum.says(noMoreThan: before[at]) { continue }
                print(names[at], before[at], sum, Double(max(now &- last, 1_000_000)) / 1e9)
                before[at] = sum
            }
            last = now
            if ready != 0 { return }
        }
    }

    private func print(_ name: UnsafePointer<CChar>, _ before: mos_stats, _ after: mos_stats, _ seconds: Double) {
        var rates = csys_rates()
        rates.rx_packets = after.rx_packets &- before.rx_packets
        rates.rx_bytes = after.rx_bytes &- before.rx_bytes
        rates.tx_packets = after.tx_packets &- before.tx_packets
        rates.tx_bytes = after.tx_bytes &- before.tx_bytes
        rates.errors = after.receiveErrors &- before.receiveErrors
        rates.drops = after.allDrops &- before.allDrops
        rates.flows = after.flows_now
        csys_print_rates(name, seconds, &rates)
    }
}

extension mos_stats {
    /// Nothing that is printed has happened since.
    fileprivate func says(noMoreThan before: mos_stats) -> Bool {
        rx_packets == before.rx_packets && tx_packets == before.tx_packets
            && receiveErrors == before.receiveErrors && allDrops == before.allDrops
    }
}

private let ratePrinterMain: @convention(c) (UnsafeMutableRawPointer?) -> Void = { raw in
    guard let raw else { return }
    Unmanaged<RatePrinter>.fromOpaque(raw).takeUnretainedValue().run()
}
