import CMOS

/// The library's version, which is the tool's.
enum Version {
    static var text: String {
        guard let text = mos_version() else { return "?" }
        return String(cString: text)
    }
}
