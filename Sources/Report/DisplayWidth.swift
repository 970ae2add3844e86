extension String {
    /// How many columns a terminal needs for the text: wide characters take two, combining marks none.
    public var displayWidth: Int {
        utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f } ? utf8.count : reduce(0) { $0 + $1.displayWidth }
    }

    /// The text with blanks after it, as wide as `width`.
    func paddedRight(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - displayWidth)) }

    /// The text with blanks before it, as wide as `width`.
    func paddedLeft(to width: Int) -> String { String(repeating: " ", count: max(0, width - displayWidth)) + self }

    /// As much of the text as fits `width` columns; what was cut is marked by an ellipsis.
    func truncated(to width: Int) -> String {
        guard displayWidth > width else { return self }
        var kept = ""
        var used = 0
        for character in self {
            guard used + character.displayWidth <= width - 1 else { break }
            kept.append(character)
            used += character.displayWidth
        }
        return width > 0 ? kept + "…" : ""
    }

    /// Lines of at most `width` columns, broken after commas, so that no number is parted from its unit; an item that is wider is broken at blanks.
    func wrappedList(to width: Int, indent: Int = 0) -> [String] {
        var lines: [String] = []
        var line = ""
        let items = split(separator: ", ")
        for (index, item) in items.enumerated() {
            let text = index + 1 < items.count ? item + "," : String(item)
            let candidate = line.isEmpty ? text : line + " " + text
            if line.isEmpty || candidate.displayWidth + (lines.isEmpty ? 0 : indent) <= width {
                line = candidate
            } else {
                lines.append(line)
                line = text
            }
        }
        lines.append(line)
        return lines.enumerated().flatMap { index, line in
            let start = index == 0 ? 0 : indent
            return line.wrapped(to: width - start, indent: indent - start).map { String(repeating: " ", count: start) + $0 }
        }
    }

    /// Lines of at most `width` columns, broken at blanks; a word that is wider has a line of its own. Lines after the first begin with
    /// `indent` blanks.
    func wrapped(to width: Int, indent: Int = 0) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in split(separator: " ", omittingEmptySubsequences: false) {
            let candidate = line.isEmpty ? String(word) : line + " " + word
            let start = lines.isEmpty ? 0 : indent
            if line.isEmpty || start + candidate.displayWidth <= width {
                line = candidate
            } else {
                lines.append(String(repeating: " ", count: start) + line)
                line = String(word)
            }
        }
        lines.append(String(repeating: " ", count: lines.isEmpty ? 0 : indent) + line)
        return lines
    }
}

extension Character {
    /// Columns of one character as it is seen, which may be several code points.
    var displayWidth: Int {
        guard let first = unicodeScalars.first else { return 0 }
        if first.value < 0x20 || (first.value >= 0x7f && first.value < 0xa0) { return 0 }
        // U+FE0F asks for the picture form of a symbol, which is wide.
        if first.properties.isEmojiPresentation || unicodeScalars.contains(where: { $0.value == 0xfe0f }) { return 2 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: return Self.isWide(first.value) ? 2 : 1
        }
    }

    /// East Asian Wide and Fullwidth (Unicode Standard Annex 11), by blocks.
    private static func isWide(_ value: UInt32) -> Bool {
        switch value {
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff, 0xa000...0xa4cf, 0xa960...0xa97f,
            0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x20000...0x3fffd:
            true
        default: false
        }
    }
}
