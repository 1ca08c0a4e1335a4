import CSys

/// A run of bytes of a C string that outlives it: a part of a device's name.
struct TextSlice {
    let base: UnsafePointer<CChar>
    let count: Int

    init(_ base: UnsafePointer<CChar>, _ count: Int) {
        self.base = base
        self.count = count
    }

    init(cString: UnsafePointer<CChar>) {
        self.init(cString, strlen(cString))
    }

    var isEmpty: Bool { count == 0 }

    subscript(_ i: Int) -> UInt8 { UInt8(bitPattern: base[i]) }

    func equals(_ text: StaticString) -> Bool {
        count == text.utf8CodeUnitCount && memcmp(base, text.utf8Start, count) == 0
    }

    func equals(cString text: UnsafePointer<CChar>) -> Bool {
        count == strlen(text) && memcmp(base, text, count) == 0
    }

    func starts(with text: StaticString) -> Bool {
        count >= text.utf8CodeUnitCount && memcmp(base, text.utf8Start, text.utf8CodeUnitCount) == 0
    }

    func index(of byte: UInt8) -> Int? {
        var i = 0
        while i < count {
            if self[i] == byte { return i }
            i += 1
        }
        return nil
    }

    func prefix(_ n: Int) -> TextSlice { TextSlice(base, n) }

    func dropping(_ n: Int) -> TextSlice { TextSlice(base + n, count - n) }

    /// A NUL-terminated copy, to be freed with free(); nil without memory.
    func copy() -> UnsafeMutablePointer<CChar>? {
        strndup(base, count)
    }

    /// Decimal digits only; nil for anything else and for more than 64 bits.
    var decimal: UInt64? {
        guard count > 0 else { return nil }
        var value: UInt64 = 0
        for i in 0..<count {
            guard self[i] >= 48, self[i] <= 57 else { return nil }
            let (high, o1) = value.multipliedReportingOverflow(by: 10)
            let (sum, o2) = high.addingReportingOverflow(UInt64(self[i] - 48))
            if o1 || o2 { return nil }
            value = sum
        }
        return value
    }

    /// A number of bytes: decimal with an optional K, M or G (powers of 1024).
    var size: UInt64? {
        guard count > 0 else { return nil }
        let shift: UInt64
        switch self[count - 1] {
        case 75, 107: shift = 10
        case 77, 109: shift = 20
        case 71, 103: shift = 30
        default: return decimal
        }
        guard let value = prefix(count - 1).decimal, value <= UInt64.max >> shift else { return nil }
        return value << shift
    }

    /// A number above 0 such as 1, 0.5 or 2.25: up to 9 digits on each side.
    var positiveFraction: Double? {
        let point = index(of: 46) ?? count
        let whole = prefix(point)
        let fraction = point < count ? dropping(point + 1) : dropping(count)
        guard whole.count + fraction.count > 0, whole.count <= 9, fraction.count <= 9 else { return nil }
        var value = 0.0
        if !whole.isEmpty {
            guard let n = whole.decimal else { return nil }
            value = Double(n)
        }
        if !fraction.isEmpty {
            guard let n = fraction.decimal else { return nil }
            var scale = 1.0
            for _ in 0..<fraction.count { scale *= 10 }
            value += Double(n) / scale
        }
        return value > 0 ? value : nil
    }
}
