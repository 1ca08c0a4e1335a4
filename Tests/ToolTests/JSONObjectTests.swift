import Foundation
import XCTest

@testable import mos

final class JSONObjectTests: XCTestCase {
    func testWhatIsWrittenIsReadBack() throws {
        let odd = "a\"b\\c\n\t\u{1}é😀/"
        var inner = JSONObject()
        inner.add("count", UInt64.max)
        var object = JSONObject()
        object.add(odd, odd)
        object.add("inner", inner)
        object.add("empty", JSONObject())
        object.add("number", decimal: "1.500000001")
        XCTAssertTrue(object.line.hasSuffix("}\n"))
        XCTAssertEqual(object.line.filter { $0 == "\n" }.count, 1)

        let parsed = try JSONSerialization.jsonObject(with: Data(object.line.utf8)) as? [String: Any]
        XCTAssertEqual(parsed?[odd] as? String, odd)
        XCTAssertEqual((parsed?["inner"] as? [String: Any])?["count"] as? UInt64, .max)
        XCTAssertEqual((parsed?["empty"] as? [String: Any])?.count, 0)
        XCTAssertEqual(parsed?["number"] as? Double, 1.500000001)
    }
}
