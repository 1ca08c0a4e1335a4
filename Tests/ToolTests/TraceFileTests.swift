import Foundation
import XCTest

@testable import mos

final class TraceFileTests: XCTestCase {
    private var directory = ""

    override func setUpWithError() throws {
        directory = NSTemporaryDirectory() + "mos-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(atPath: directory)
    }

    private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = directory + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func message(for name: String) -> String {
        do {
            try TraceFile(name).close()
            return ""
        } catch {
            return "\(error)"
        }
    }

    func testWhatIsNoTraceIsSaidToBeNone() throws {
        XCTAssertEqual(message(for: directory + "/missing"), directory + "/missing: No such file or directory")
        XCTAssertTrue(message(for: directory).hasSuffix("is a directory, not a trace"))
        XCTAssertTrue(message(for: try file("empty", [])).contains("too short"))
        XCTAssertTrue(message(for: try file("text", Array("hello".utf8))).contains("neither pcap nor pcapng"))
        XCTAssertTrue(message(for: try file("packed", [0x1F, 0x8B, 8, 0, 0])).contains("zcat"))
    }

    func testTracesOfEveryFormatPass() throws {
        let magics: [[UInt8]] = [
            [0xA1, 0xB2, 0xC3, 0xD4], [0xD4, 0xC3, 0xB2, 0xA1], [0xA1, 0xB2, 0x3C, 0x4D],
            [0x4D, 0x3C, 0xB2, 0xA1], [0x0A, 0x0D, 0x0D, 0x0A],
        ]
        for magic in magics {
            XCTAssertEqual(message(for: try file("trace", magic + [0, 0])), "")
        }
    }

    /// The configuration gives commas, quotes and blanks a meaning of their own.
    func testOddNamesAreReachedThroughADescriptor() throws {
        let plain = try TraceFile(try file("plain-1.pcap", [0xA1, 0xB2, 0xC3, 0xD4]))
        defer { plain.close() }
        XCTAssertEqual(plain.devicePath, plain.name)
        XCTAssertEqual(plain.size, 4)

        let odd = try TraceFile(try file("odd,out=x \"#.pcap", [0xA1, 0xB2, 0xC3, 0xD4]))
        defer { odd.close() }
        XCTAssertTrue(odd.devicePath.hasPrefix("/dev/fd/"))
        XCTAssertEqual(FileManager.default.contents(atPath: odd.devicePath), Data([0xA1, 0xB2, 0xC3, 0xD4]))
    }
}
