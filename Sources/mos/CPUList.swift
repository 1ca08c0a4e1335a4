/// CPU numbers as ranges: `0-3 6`.
enum CPUList {
    static func text(_ mask: UInt64) -> String {
        text((0..<64).filter { mask >> UInt64($0) & 1 == 1 })
    }

    /// `cpus` in rising order.
    static func text(_ cpus: [Int]) -> String {
        var ranges: [(first: Int, last: Int)] = []
        for cpu in cpus {
            if let last = ranges.last?.last, last + 1 == cpu {
                ranges[ranges.count - 1].last = cpu
            } else {
                ranges.append((cpu, cpu))
            }
        }
        return ranges.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }.joined(separator: " ")
    }

    /// The numbers of the kernel's `0-3,6`.
    static func numbers(_ text: String) -> [Int] {
        text.split(separator: ",").flatMap { part -> [Int] in
            let ends = part.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, first <= last else { return [] }
            return Array(first...last)
        }
    }
}
