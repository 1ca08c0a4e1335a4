import Glibc
import XCTest

@testable import mos

final class LibraryMessagesTests: XCTestCase {
    func testWhatIsSaidIsHeldBackAndGivenInLines() throws {
        let before = try fileOfStandardError()
        let messages = try LibraryMessages()
        XCTAssertNotEqual(StandardStream.errorDescriptor, STDERR_FILENO)
        XCTAssertNotEqual(try fileOfStandardError(), before)
        for text in ["libmos: one\n", "file:2: two\nlibmos: ", "three\n"] {
            text.withCString { _ = write(STDERR_FILENO, $0, strlen($0)) }
        }
        errno = ENOTNAM
        let lines = messages.end()
        XCTAssertEqual(errno, ENOTNAM)
        XCTAssertEqual(lines, ["one", "file:2: two", "three"])
        XCTAssertEqual(StandardStream.errorDescriptor, STDERR_FILENO)
        XCTAssertEqual(try fileOfStandardError(), before)
    }

    /// The number of the file that standard error leads to.
    private func fileOfStandardError() throws -> UInt64 {
        var status = stat()
        guard fstat(STDERR_FILENO, &status) == 0 else { throw ToolError("no standard error") }
        return UInt64(status.st_ino)
    }
}
