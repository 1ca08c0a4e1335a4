import Foundation
import XCTest

@testable import MOSStack

/// Every file of `Tests/config-examples` comes out as it is expected to.
final class ConfigurationExamplesTests: XCTestCase {
    func testGoodFiles() throws {
        let examples = try ConfigurationExample.all("good")
        XCTAssertGreaterThanOrEqual(examples.count, 25)
        for example in examples {
            try check(example)
            XCTAssertFalse(example.outcome?.contains("\nEINVAL ") ?? true, example.file.lastPathComponent)
        }
    }

    func testBadFiles() throws {
        let examples = try ConfigurationExample.all("bad")
        XCTAssertGreaterThanOrEqual(examples.count, 50)
        for example in examples {
            try check(example)
            let last = example.outcome?.split(separator: "\n").last ?? ""
            XCTAssertNotNil(
                last.range(of: "^E[A-Z]+ [^ ]+:[0-9]+: .", options: .regularExpression),
                "\(example.file.lastPathComponent) does not expect an error with a place")
        }
    }

    /// An expectation without its file is a file that nobody tests.
    func testEveryExpectationHasItsFile() throws {
        for kind in ["good", "bad"] {
            let folder = ConfigurationExample.folder.appendingPathComponent(kind)
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
                let file = folder.appendingPathComponent(name)
                XCTAssertTrue(["conf", "expect"].contains(file.pathExtension), "\(name) is no example")
                let conf = file.deletingPathExtension().appendingPathExtension("conf")
                XCTAssertTrue(FileManager.default.fileExists(atPath: conf.path), "\(name) has no .conf")
            }
        }
    }

    /// The dump is a configuration file that says the same.
    func testDumpsReadBack() throws {
        for example in try ConfigurationExample.all("good") {
            let bytes = Array(try Data(contentsOf: example.file))
            let first = ConfigurationOutcome(bytes, cpuCount: example.cpuCount)
            let dump = try XCTUnwrap(first.configuration, example.file.lastPathComponent).dump()
            let second = ConfigurationOutcome(string(dump), cpuCount: example.cpuCount)
            XCTAssertEqual(second.warningsOfText, [], example.file.lastPathComponent)
            XCTAssertEqual(second.message, "", example.file.lastPathComponent)
            XCTAssertEqual(second.configuration.map { string($0.dump()) }, string(dump), example.file.lastPathComponent)
        }
    }

    private func check(_ example: ConfigurationExample) throws {
        let name = example.file.lastPathComponent
        guard let expected = example.outcome else {
            XCTFail("\(name) has no .expect that says what should come of it")
            return
        }
        XCTAssertEqual(try example.run(), expected, name)
    }
}
