// The way out: 03-config.md, "Interfaces and forwarding".

import CMOS
import CSys
import MOSPacketIO
import MOSStorage
import MOSWire

/// An interface as one context sends on it.
struct OutPort {
    let port: Port
    let queue: UInt32
    /// Where contexts share a transmit queue.
    let lock: UnsafeMutablePointer<pthread_mutex_t>?
    /// The interface at the other end of the wire that `nic_forward_table`
    /// makes; -1: none.
    let partner: Int
    let mac: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)
    var dirty = false
}

/// A line of the routing table, host order; longest prefixes first.
struct Route {
    let network: UInt32
    let mask: UInt32
    let interface: Int
}

/// A line of the ARP table, longest prefixes first.
struct Neighbour {
    let address: UInt32
    let mask: UInt32
    let mac: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)
}

/// Sends and forwards for one context. Raw arrays, fixed when the context is
/// made.
struct Forwarder {
    private let ports: UnsafeMutablePointer<OutPort>
    let portCount: Int
    private let routes: UnsafeMutablePointer<Route>
    private let routeCount: Int
    private let neighbours: UnsafeMutablePointer<Neighbour>
    private let neighbourCount: Int

    init(ports list: [OutPort], routes routeList: [Route], neighbours neighbourList: [Neighbour]) {
        portCount = list.count
        ports = .allocate(capacity: list.count + 1)
        for (at, port) in list.enumerated() { (ports + at).initialize(to: port) }
        routeCount = routeList.count
        routes = .allocate(capacity: routeList.count + 1)
        for (at, route) in routeList.enumerated() { (routes + at).initialize(to: route) }
        neighbourCount = neighbourList.count
        neighbours = .allocate(capacity: neighbourList.count + 1)
        for (at, neighbour) in neighbourList.enumerated() { (neighbours + at).initialize(to: neighbour) }
    }

    func destroy() {
        ports.deallocate()
        routes.deallocate()
        neighbours.deallocate()
    }

    /// Where a packet leaves, and whether its MAC addresses are to be set.
    private func way(_ p: UnsafePointer<Packet>, destination: UInt32) -> (port: Int, routed: Bool)? {
        let input = Int(p.pointee.port)
        guard input < portCount else { return nil }
        let partner = ports[input].partner
        if partner >= 0 { return (partner, false) }
        guard p.pointee.ipVersion == 4 else { return nil }
        for at in 0..<routeCount where destination & routes[at].mask == routes[at].network {
            return (routes[at].interface, true)
        }
        return nil
    }

    /// A received frame, unchanged.
    @inline(__always)
    func forward(_ frame: UnsafePointer<mos_io_frame>, _ p: UnsafePointer<Packet>, _ context: Context) {
        let input = Int(p.pointee.port)
        let partner = ports[input].partner
        if partner >= 0 {
            context.noteLink(p)
            let out = ports + partner
            acquire(out)
            let code = out.pointee.port.forward(queue: out.pointee.queue, frame: frame)
            account(out, partner, code, p.pointee.wireLength, context)
            release(out)
        } else {
            route(p, p.pointee.frame, p.pointee.length, p.pointee.destination, context)
        }
    }

    /// The frame that a handler changed.
    func forwardModified(_ context: Context, _ p: UnsafePointer<Packet>) {
        guard let m = context.current.modified, let way = way(p, destination: m.destination) else {
            if routeCount > 0 { context.portStats[Int(p.pointee.port)].drop_no_route &+= 1 }
            return
        }
        if !way.routed { context.noteLink(p) }
        send(UnsafePointer(context.outFrame), m.length, way.port, routedTo: way.routed ? m.destination : nil, m.timestamp, context)
    }

    /// The interface at the other end of the wire, or -1.
    func partner(of interface: Int) -> Int {
        interface >= 0 && interface < portCount ? ports[interface].partner : -1
    }

    func forwardNonIP(_ frame: UnsafePointer<mos_io_frame>, _ p: UnsafePointer<Packet>, _ context: Context) {
        let input = Int(p.pointee.port)
        guard context.settings.forwards, input < portCount, ports[input].partner >= 0 else { return }
        forward(frame, p, context)
    }

    private func route(
        _ p: UnsafePointer<Packet>, _ bytes: UnsafePointer<UInt8>, _ length: UInt32, _ destination: UInt32,
        _ context: Context
    ) {
        guard let way = way(p, destination: destination) else {
            if routeCount > 0 { context.portStats[Int(p.pointee.port)].drop_no_route &+= 1 }
            return
        }
        send(bytes, length, way.port, routedTo: destination, p.pointee.timestamp, context)
    }

    /// Sends a frame of our own making out of the interface by which packets
    /// that came in on `input` leave. False: there is no way.
    func sendLike(
        input: Int, _ bytes: UnsafePointer<UInt8>, _ length: UInt32, destination: UInt32, isIPv4: Bool,
        _ context: Context
    ) -> Bool {
        guard input >= 0, input < portCount else { return false }
        let partner = ports[input].partner
        if partner >= 0 {
            send(bytes, length, partner, routedTo: nil, context.now, context)
            return true
        }
        guard isIPv4 else { return false }
        for at in 0..<routeCount where destination & routes[at].mask == routes[at].network {
            send(bytes, length, routes[at].interface, routedTo: destination, context.now, context)
            return true
        }
        return false
    }

    private func send(
        _ bytes: UnsafePointer<UInt8>, _ length: UInt32, _ interface: Int, routedTo destination: UInt32?, _ time: UInt64,
        _ context: Context
    ) {
        let out = ports + interface
        var mac: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)?
        if let destination {
            mac = neighbour(destination)
            if mac == nil {
                context.portStats[interface].drop_no_route &+= 1
                return
            }
        }
        acquire(out)
        defer { release(out) }
        guard let room = out.pointee.port.transmitFrame(queue: out.pointee.queue, length: length) else {
            context.portStats[interface].drop_tx &+= 1
            return
        }
        memcpy(room, bytes, Int(length))
        if let mac, length >= 14 {
            // In bounds: the frame has an Ethernet header.
            withUnsafeBytes(of: mac) { _ = memcpy(room, $0.baseAddress!, 6) }
            withUnsafeBytes(of: out.pointee.mac) { _ = memcpy(room + 6, $0.baseAddress!, 6) }
        }
        let code = out.pointee.port.send(queue: out.pointee.queue, frame: room, length: length, time: time)
        account(out, interface, code, length, context)
    }

    private func neighbour(_ address: UInt32) -> (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8)? {
        for at in 0..<neighbourCount where address & neighbours[at].mask == neighbours[at].address {
            return neighbours[at].mac
        }
        return nil
    }

    @inline(__always)
    private func account(
        _ out: UnsafeMutablePointer<OutPort>, _ interface: Int, _ code: Int32, _ length: UInt32, _ context: Context
    ) {
        let stats = context.portStats + interface
        if code == 0 {
            stats.pointee.tx_packets &+= 1
            stats.pointee.tx_bytes &+= UInt64(length)
        } else {
            stats.pointee.drop_tx &+= 1
        }
        out.pointee.dirty = true
    }

    /// What was sent in this burst goes out now.
    @inline(__always)
    func flush() {
        for at in 0..<portCount where ports[at].dirty {
            ports[at].dirty = false
            acquire(ports + at)
            ports[at].port.flush(queue: ports[at].queue)
            release(ports + at)
        }
    }

    @inline(__always)
    private func acquire(_ out: UnsafeMutablePointer<OutPort>) {
        if let lock = out.pointee.lock { pthread_mutex_lock(lock) }
    }

    @inline(__always)
    private func release(_ out: UnsafeMutablePointer<OutPort>) {
        if let lock = out.pointee.lock { pthread_mutex_unlock(lock) }
    }
}
