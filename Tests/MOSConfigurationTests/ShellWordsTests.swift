import CSys
import XCTest

@testable import MOSStack

final class ShellWordsTests: XCTestCase {
    private func split(_ text: String, room: Int = 8) -> ([String], ShellWords.Outcome) {
        // A block of the exact size, so that the address sanitizer sees a byte too many.
        let copy = strdup(text)!
        defer { free(copy) }
        let words = UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: room)
        defer { words.deallocate() }
        words.initialize(repeating: nil)
        let outcome = ShellWords.split(copy, into: words)
        return ((0..<outcome.count).map { String(cString: words[$0]!) }, outcome)
    }

    func testWords() {
        XCTAssertEqual(split("").0, [])
        XCTAssertEqual(split(" \t\n").0, [])
        XCTAssertEqual(split("a").0, ["a"])
        XCTAssertEqual(split("  a\tbc  d\r\n").0, ["a", "bc", "d"])
        XCTAssertEqual(split("'a b' \"c d\"").0, ["a b", "c d"])
        XCTAssertEqual(split("a'b'\"c\"d").0, ["abcd"])
        XCTAssertEqual(split("'' \"\" x").0, ["", "", "x"])
        XCTAssertEqual(split(#"a\ b \"c\' "\"\\\$\`\n" '\n'"#).0, ["a b", "\"c'", #""\$`\n"#, #"\n"#])
        XCTAssertEqual(split(#"a\"#).0, [#"a\"#])
    }

    func testTooManyWords() {
        let (words, outcome) = split("a b c", room: 2)
        XCTAssertEqual(words, ["a", "b"])
        XCTAssertTrue(outcome.hasMore)
        XCTAssertFalse(split("a b ", room: 2).1.hasMore)
        XCTAssertTrue(split("a", room: 0).1.hasMore)
    }

    func testOpenQuotes() {
        for text in ["'", "\"", "a 'b c", "a \"b\\\"", "a'b\"'\""] {
            XCTAssertTrue(split(text).1.quoteIsOpen, text)
        }
        XCTAssertEqual(split("a 'b c").0, ["a", "b c"])
        XCTAssertFalse(split("'a' \"b'\" '\"'").1.quoteIsOpen)
    }
}
