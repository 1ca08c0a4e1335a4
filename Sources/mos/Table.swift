/// A table of text whose columns are as wide as their widest cell. The rows are
/// made twice, to measure and to write, so that a long table takes no memory.
struct Table {
    enum Alignment { case left, right }

    struct Column {
        let title: String
        let alignment: Alignment
        /// Where there is no room for all, columns with the highest number are
        /// left out first, those with 0 never.
        let spare: Int

        init(_ title: String, _ alignment: Alignment, spare: Int = 0) {
            self.title = title
            self.alignment = alignment
            self.spare = spare
        }
    }

    private let columns: [Column]
    private static let gap = 2

    init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Writes titles and rows, two blanks between columns, none at a line's end.
    /// `cells` gives a row's cells, as many as there are columns. Returns the
    /// titles of the columns that did not fit into `room`; nil: all fit.
    @discardableResult
    func write<Rows: Collection>(
        _ rows: Rows, to stream: StandardStream, room: Int? = nil, cells: (Rows.Element) -> [String]
    ) -> [String] {
        var widths = columns.map(\.title.count)
        for row in rows {
            for (column, cell) in cells(row).enumerated() {
                widths[column] = max(widths[column], cell.count)
            }
        }
        let shown = fitting(widths, into: room)
        var text = line(columns.map(\.title), widths, shown)
        for row in rows {
            text += line(cells(row), widths, shown)
            if text.utf8.count > 1 << 16 {
                stream.write(text)
                text = ""
            }
        }
        stream.write(text)
        return columns.indices.filter { !shown.contains($0) }.map { columns[$0].title }
    }

    /// The columns that are shown, by number.
    private func fitting(_ widths: [Int], into room: Int?) -> [Int] {
        var shown = Array(columns.indices)
        guard let room else { return shown }
        while shown.reduce(-Self.gap, { $0 + widths[$1] + Self.gap }) > room {
            let most = shown.map { columns[$0].spare }.max() ?? 0
            if most == 0 { break }
            shown.removeAll { columns[$0].spare == most }
        }
        return shown
    }

    private func line(_ cells: [String], _ widths: [Int], _ shown: [Int]) -> String {
        var line = ""
        for column in shown {
            let cell = cells[column]
            let blanks = String(repeating: " ", count: widths[column] - cell.count)
            if column != shown.first { line += String(repeating: " ", count: Self.gap) }
            switch columns[column].alignment {
            case .right: line += blanks + cell
            case .left: line += column == shown.last ? cell : cell + blanks
            }
        }
        return line + "\n"
    }
}
