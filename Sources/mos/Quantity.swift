import Glibc

/// Numbers as people read them.
enum Quantity {
    /// `1.2 MB`: three significant digits, powers of 1000.
    static func bytes(_ count: UInt64) -> String {
        scaled(count, units: ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
    }

    /// `1.2 M`: as ``bytes(_:)`` without a unit.
    static func count(_ count: UInt64) -> String {
        scaled(count, units: ["", "k", "M", "G", "T", "P", "E"])
    }

    /// `12.3 s`, `4 min 05 s`, `250 ms` from nanoseconds.
    static func duration(_ nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case 0: "0 s"
        case ..<1_000_000: threeDigits(nanoseconds, per: 1_000) + " µs"
        case ..<1_000_000_000: threeDigits(nanoseconds, per: 1_000_000) + " ms"
        case ..<60_000_000_000: threeDigits(nanoseconds, per: 1_000_000_000) + " s"
        case ..<3_600_000_000_000:
            "\(nanoseconds / 60_000_000_000) min \(padded(nanoseconds / 1_000_000_000 % 60, to: 2)) s"
        default:
            "\(nanoseconds / 3_600_000_000_000) h \(padded(nanoseconds / 60_000_000_000 % 60, to: 2)) min"
        }
    }

    /// Seconds with `digits` decimals, cut off: `1.234567`.
    static func seconds(_ nanoseconds: UInt64, digits: Int = 6) -> String {
        let fraction = padded(nanoseconds % 1_000_000_000, to: 9)
        return "\(nanoseconds / 1_000_000_000)." + fraction.prefix(digits)
    }

    /// A moment of the Unix clock in this place's time: `2023-11-14 22:13:20.000`.
    static func localTime(_ nanoseconds: UInt64) -> String {
        var seconds = time_t(truncatingIfNeeded: nanoseconds / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return date(parts) + " " + time(parts) + "."
            + padded(nanoseconds % 1_000_000_000 / 1_000_000, to: 3)
    }

    /// A moment of the Unix clock as RFC 3339 has it: `2023-11-14T22:13:20.000000Z`.
    static func timestamp(_ nanoseconds: UInt64) -> String {
        var seconds = time_t(truncatingIfNeeded: nanoseconds / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return date(parts) + "T" + time(parts) + "."
            + padded(nanoseconds % 1_000_000_000 / 1_000, to: 6) + "Z"
    }

    private static func date(_ parts: tm) -> String {
        padded(UInt64(max(0, Int(parts.tm_year) + 1900)), to: 4) + "-"
            + padded(UInt64(parts.tm_mon + 1), to: 2) + "-" + padded(UInt64(parts.tm_mday), to: 2)
    }

    private static func time(_ parts: tm) -> String {
        padded(UInt64(parts.tm_hour), to: 2) + ":" + padded(UInt64(parts.tm_min), to: 2) + ":"
            + padded(UInt64(parts.tm_sec), to: 2)
    }

    private static func padded(_ number: UInt64, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func scaled(_ count: UInt64, units: [String]) -> String {
        var unit = 0
        var divisor: UInt64 = 1
        while unit + 1 < units.count && count / divisor >= 1000 {
            divisor *= 1000
            unit += 1
        }
        let number = unit == 0 ? String(count) : threeDigits(count, per: divisor)
        return units[unit].isEmpty ? number : number + " " + units[unit]
    }

    /// `value / divisor`, cut off to three significant digits: `1.23`, `12.3`, `123`.
    private static func threeDigits(_ value: UInt64, per divisor: UInt64) -> String {
        let whole = value / divisor
        let thousandths = padded(value % divisor / max(1, divisor / 1000), to: 3)
        return switch whole {
        case ..<10: "\(whole)." + thousandths.prefix(2)
        case ..<100: "\(whole)." + thousandths.prefix(1)
        default: String(whole)
        }
    }
}
