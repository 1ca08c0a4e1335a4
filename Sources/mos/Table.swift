/// A table of text whose columns are as wide as their widest cell. The rows are
/// made twice, to measure and to write, so that a long table takes no memory.
struct Table {
    enum Alignment { case left, right }

    private let titles: [String]
    private let alignments: [Alignment]

    init(_ columns: [(title: String, alignment: Alignment)]) {
        titles = columns.map(\.title)
        alignments = columns.map(\.alignment)
    }

    /// Writes titles and rows, two blanks between columns, none at a line's end.
    /// `cells` gives a row's cells, as many as there are columns.
    func write<Rows: Collection>(_ rows: Rows, to stream: StandardStream, cells: (Rows.Element) -> [String]) {
        var widths = titles.map(\.count)
        for row in rows {
            for (column, cell) in cells(row).enumerated() {
                widths[column] = max(widths[column], cell.count)
            }
        }
        var text = line(titles, widths)
        for row in rows {
            text += line(cells(row), widths)
            if text.utf8.count > 1 << 16 {
                stream.write(text)
                text = ""
            }
        }
        stream.write(text)
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var line = ""
        for (column, cell) in cells.enumerated() {
            let blanks = String(repeating: " ", count: widths[column] - cell.count)
            if column > 0 { line += "  " }
            switch alignments[column] {
            case .right: line += blanks + cell
            case .left: line += column == cells.count - 1 ? cell : cell + blanks
            }
        }
        return line + "\n"
    }
}
