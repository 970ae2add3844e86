import Testing

@testable import Report

@Suite struct DisplayWidthTests {
    @Test(arguments: [
        ("", 0), ("abc", 3), ("Größe", 5), ("e\u{301}", 1), ("水", 2), ("水流 gauge", 10),
        ("🌊", 2), ("👩‍🔬", 2), ("☀️", 2), ("ｱ", 1), ("한", 2), ("\u{200b}", 0),
    ])
    func columns(_ text: String, _ width: Int) {
        #expect(text.displayWidth == width)
    }

    @Test func truncation() {
        #expect("abcdef".truncated(to: 6) == "abcdef")
        #expect("abcdef".truncated(to: 4) == "abc…")
        #expect("水流水流".truncated(to: 6) == "水流…")
        #expect("abc".truncated(to: 0) == "")
    }

    @Test func wrapping() {
        #expect("one two three".wrapped(to: 7, indent: 2) == ["one two", "  three"])
        #expect("unbreakableword x".wrapped(to: 5) == ["unbreakableword", "x"])
        #expect("".wrapped(to: 5) == [""])
        #expect("goodput 5.00 s, then 3 x 4, end".wrappedList(to: 16, indent: 2) == ["goodput 5.00 s,", "  then 3 x 4,", "  end"])
        #expect("one very long item, two".wrappedList(to: 10, indent: 1) == ["one very", " long", " item,", " two"])
    }
}

@Suite struct TextTableTests {
    @Test func numbersStandUnderEachOther() {
        var table = TextTable([TextTable.Column("name", .left), TextTable.Column("count")])
        table.add(["a", "5"])
        table.add(["水流", "1,234"])
        table.addRule()
        table.add(["sum"])
        #expect(table.lines(width: 80, indent: 1) == [" name  count", " a         5", " 水流  1,234", " -----------", " sum"])
    }

    @Test func unimportantColumnsGiveWay() {
        var table = TextTable([
            TextTable.Column("name", .left), TextTable.Column("first", importance: 2), TextTable.Column("second", importance: 1),
            TextTable.Column("third", importance: 1), TextTable.Column("last"),
        ])
        table.add(["a", "1", "2", "3", "4"])
        #expect(table.lines(width: 80) == ["name  first  second  third  last", "a         1       2      3     4"])
        #expect(table.lines(width: 30) == ["name  first  last", "a         1     4"])
        #expect(table.lines(width: 12) == ["name  last", "a        4"])
        #expect(table.lines(width: 1) == ["name  last", "a        4"])
    }

    @Test func headsOfSeveralLines() {
        var table = TextTable([TextTable.Column("", .left), TextTable.Column("client\nsent"), TextTable.Column("sum")])
        table.add(["x", "1", "2"])
        #expect(table.lines(width: 80) == ["   client", "     sent  sum", "x       1    2"])
    }

    @Test func aTableWithoutHeadsHasNoHeadLine() {
        var table = TextTable([TextTable.Column("", .left), TextTable.Column("")])
        table.add(["a", "b"])
        #expect(table.lines(width: 80) == ["a  b"])
    }
}
