import CMOS
import CSys
import MOSPacketIO
import XCTest

nonisolated(unsafe) private var logLock = pthread_mutex_t()
nonisolated(unsafe) private var logLines: [String] = []

/// Foundation has one, too.
typealias Port = MOSPacketIO.Port

/// What a received frame was, copied.
struct Received: Equatable {
    var bytes: [UInt8]
    var wireLength: Int
    var time: UInt64
    var port: Int32 = 0
}

struct OpenFailure: Error {
    let code: Int32
    let message: String
}

/// A folder for the test's files, a port to read, the lines that were logged.
class PortTestCase: XCTestCase {
    private(set) var folder = ""

    override func setUp() {
        var template = Array("/tmp/mos-packetio-XXXXXX".utf8CString)
        folder = String(cString: mkdtemp(&template))
        pthread_mutex_lock(&logLock)
        logLines = []
        pthread_mutex_unlock(&logLock)
        PacketIOLog.sink = { line in
            pthread_mutex_lock(&logLock)
            logLines.append(String(cString: line))
            pthread_mutex_unlock(&logLock)
        }
    }

    override func tearDown() {
        PacketIOLog.sink = nil
        try? FileManager.default.removeItem(atPath: folder)
    }

    var log: [String] {
        pthread_mutex_lock(&logLock)
        defer { pthread_mutex_unlock(&logLock) }
        return logLines
    }

    func path(_ name: String) -> String { folder + "/" + name }

    @discardableResult
    func write(_ name: String, _ bytes: [UInt8]) -> String {
        XCTAssertTrue(FileManager.default.createFile(atPath: path(name), contents: Data(bytes)))
        return path(name)
    }

    func read(_ name: String) -> [UInt8] {
        FileManager.default.contents(atPath: path(name)).map { [UInt8]($0) } ?? []
    }

    /// Opened and begun.
    func open(_ spec: String, queues: UInt32 = 1) throws -> Port {
        let port = try openOnly(spec, queues: queues)
        do {
            try begin([port])
        } catch {
            port.close()
            throw error
        }
        return port
    }

    /// `Port.begin`
    func begin(_ ports: [Port]) throws {
        var message = [CChar](repeating: 1, count: 300)
        do {
            try message.withUnsafeMutableBufferPointer { buffer throws(PortError) in
                try ports.withUnsafeBufferPointer { ports throws(PortError) in
                    try Port.begin(ports, error: buffer.baseAddress, errorSize: buffer.count)
                }
            }
        } catch {
            throw OpenFailure(code: error.code, message: String(cString: message))
        }
    }

    func openOnly(_ spec: String, queues: UInt32 = 1) throws -> Port {
        var message = [CChar](repeating: 1, count: 300)
        do {
            return try message.withUnsafeMutableBufferPointer { buffer throws(PortError) in
                try Port.open(spec: spec, queues: queues, error: buffer.baseAddress, errorSize: buffer.count)
            }
        } catch {
            throw OpenFailure(code: error.code, message: String(cString: message))
        }
    }

    func failure(_ spec: String, file: StaticString = #filePath, line: UInt = #line) -> OpenFailure {
        do {
            try open(spec).close()
            XCTFail("\(spec) opened", file: file, line: line)
        } catch {
            if let failure = error as? OpenFailure { return failure }
        }
        return OpenFailure(code: 0, message: "")
    }

    /// Everything until the end, and how it ended. Waits for slow sources.
    func readAll(_ port: Port, burst: Int = 64, seconds: Double = 20) -> (frames: [Received], end: Int32) {
        var all: [Received] = []
        let deadline = Date().addingTimeInterval(seconds)
        while Date() < deadline {
            let (frames, result) = receive(port, burst: burst)
            all += frames
            if result < 0 { return (all, result) }
            if result == 0 { usleep(200) }
        }
        return (all, 0)
    }

    func receive(_ port: Port, queue: UInt32 = 0, burst: Int = 64) -> (frames: [Received], result: Int32) {
        var frames = [mos_io_frame](repeating: mos_io_frame(), count: burst)
        let n = port.receive(queue: queue, into: &frames, max: UInt32(burst))
        return (frames.prefix(Int(max(n, 0))).map(copy), n)
    }

    func copy(_ frame: mos_io_frame) -> Received {
        Received(
            bytes: Array(UnsafeBufferPointer(start: frame.data, count: Int(frame.len))),
            wireLength: Int(frame.wire_len), time: frame.time_ns, port: frame.port)
    }

    func readAll(_ spec: String, burst: Int = 64) throws -> [Received] {
        let port = try open(spec)
        defer { port.close() }
        let (frames, end) = readAll(port, burst: burst)
        XCTAssertEqual(end, Int32(MOS_IO_END))
        return frames
    }
}
