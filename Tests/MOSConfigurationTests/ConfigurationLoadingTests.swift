import CSys
import Foundation
import XCTest

@testable import MOSStack

/// Finding and reading the file, and what the system says about it.
final class ConfigurationLoadingTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private var before = ""
    private let text = "mos { netdev { dpdk0 1 }\nmax_concurrency = "

    override func setUpWithError() throws {
        before = FileManager.default.currentDirectoryPath
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("mos-conf-\(getpid())")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("config"), withIntermediateDirectories: true)
        XCTAssertTrue(FileManager.default.changeCurrentDirectoryPath(folder.path))
    }

    override func tearDownWithError() throws {
        XCTAssertTrue(FileManager.default.changeCurrentDirectoryPath(before))
        try FileManager.default.removeItem(at: folder)
    }

    /// The flows of the configuration that was read, else errno and message.
    private func load(_ path: String?, mosConf: String? = nil) -> String {
        var diagnostics = ConfigurationDiagnostics()
        let variable = mosConf.map { strdup($0)! }
        let named = path.map { strdup($0)! }
        defer {
            free(variable)
            free(named)
        }
        let environment = ConfigurationEnvironment(cpuCount: 2, path: variable.map { UnsafePointer($0) })
        do throws(ConfigurationError) {
            let configuration = try Configuration.load(
                path: named.map { UnsafePointer($0) }, environment: environment, diagnostics: &diagnostics)
            return "\(configuration.maxConcurrency)"
        } catch {
            return "\(errnoName(error.code)) \(string(error.message))"
        }
    }

    private func write(_ name: String, flows: Int) throws {
        try "\(text)\(flows)\n}".write(
            to: folder.appendingPathComponent(name), atomically: true, encoding: .utf8)
    }

    func testTheOrderOfPlaces() throws {
        let missing = "the file cannot be read: No such file or directory"
        XCTAssertEqual(
            load(nil), "ENOENT mos.conf:0: \(missing); MOS_CONF names no file, and there is no config/mos.conf")
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("config/mos.conf"), withIntermediateDirectories: true)
        XCTAssertEqual(
            load(nil), "EISDIR config/mos.conf:0: the file cannot be read: Is a directory; MOS_CONF names no file")
        try FileManager.default.removeItem(at: folder.appendingPathComponent("config/mos.conf"))
        try write("mos.conf", flows: 1)
        XCTAssertEqual(load(nil), "1")
        try write("config/mos.conf", flows: 2)
        XCTAssertEqual(load(nil), "2")
        try write("other.conf", flows: 3)
        XCTAssertEqual(load(nil, mosConf: "other.conf"), "3")
        XCTAssertEqual(load(nil, mosConf: ""), "2")
        XCTAssertEqual(load("mos.conf", mosConf: "other.conf"), "1")
        XCTAssertEqual(load(nil, mosConf: "gone.conf"), "ENOENT gone.conf:0: \(missing); MOS_CONF names it")
        XCTAssertEqual(load("gone.conf", mosConf: "mos.conf"), "ENOENT gone.conf:0: \(missing)")
    }

    func testWhatCannotBeRead() throws {
        XCTAssertEqual(load("config"), "EISDIR config:0: the file cannot be read: Is a directory")
        try write("mos.conf", flows: 1)
        XCTAssertEqual(load("mos.conf/x"), "ENOTDIR mos.conf/x:0: the file cannot be read: Not a directory")
        XCTAssertEqual(load(""), "ENOENT :0: the file cannot be read: No such file or directory")
        XCTAssertEqual(load("/dev/zero"), "EFBIG /dev/zero:0: the file is larger than 1048576 bytes")
        XCTAssertEqual(
            load("/dev/null"), "EINVAL /dev/null:1: there is no device: 'netdev' in 'mos' has to name one")
    }

    func testAFileWithoutPermission() throws {
        try XCTSkipIf(geteuid() == 0, "root may read everything")
        try write("mos.conf", flows: 1)
        XCTAssertEqual(chmod("mos.conf", 0), 0)
        XCTAssertEqual(load("mos.conf"), "EACCES mos.conf:0: the file cannot be read: Permission denied")
    }

    func testALargeFileUpToTheLimit() throws {
        let head = "\(text)7\n}\n"
        let size = ConfigurationLimits.fileSize
        let whole = head + String(repeating: "#", count: size - head.utf8.count)
        try whole.write(toFile: "mos.conf", atomically: true, encoding: .utf8)
        XCTAssertEqual(load("mos.conf"), "7")
        try (whole + "#").write(toFile: "mos.conf", atomically: true, encoding: .utf8)
        XCTAssertEqual(load("mos.conf"), "EFBIG mos.conf:0: the file is larger than 1048576 bytes")
    }

    func testThisMachine() {
        let environment = ConfigurationEnvironment.current()
        XCTAssertEqual(environment.cpuCount, ProcessInfo.processInfo.activeProcessorCount)
    }
}
