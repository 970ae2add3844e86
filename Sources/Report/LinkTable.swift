import Gauge

/// The emulated link of a run, how its windows grew, and what held up either side.
enum LinkTable {
    static func lines(_ figures: RunFigures, width: Int) -> [String] {
        guard let link = figures.link.value else { return [] }
        var entries = [("link", shape(link))]
        for (name, share) in [("up", link.utilisationUp), ("down", link.utilisationDown)] {
            if let share = share.value, share > 0 { entries.append(("used \(name)", "\(Units.fixed(share, places: 3)) of the rate, and of the bandwidth-delay product")) }
        }
        for trajectory in figures.windowTrajectory.value ?? [] { entries.append(("window \(trajectory.direction)", growth(trajectory, link))) }
        let lines = entries.flatMap { name, text in (name.paddedRight(to: 14) + text).wrappedList(to: width - 2, indent: 14).map { "  " + $0 } }
        return lines + stalls(figures, width: width)
    }

    private static func shape(_ link: LinkFigures) -> String {
        var text = "\(Units.format(nanoseconds: link.roundTripNanoseconds)) round trip, \(Units.format(bitsPerSecond: Double(link.bitsPerSecond)))"
        text += ", buffer \(Units.format(bytes: link.bufferBytes)), bandwidth-delay product \(Units.format(bytes: link.bandwidthDelayBytes))"
        return link.jitterNanoseconds > 0 ? text + ", jitter \(Units.format(nanoseconds: link.jitterNanoseconds))" : text
    }

    /// The sizes that the largest window had, each with when it was first seen, and when the link was full.
    private static func growth(_ trajectory: WindowTrajectory, _ link: LinkFigures) -> String {
        var sizes: [String] = []
        var last: UInt64 = 0
        for point in trajectory.points {
            guard let window = point.windowBytes.value, window > last else { continue }
            last = window
            sizes.append("\(Units.format(bytes: window)) at \(Units.format(seconds: point.seconds))")
        }
        var parts: [String] = []
        if !sizes.isEmpty { parts.append(sizes.joined(separator: ", ")) }
        let most = trajectory.points.map(\.inFlightBytes).max() ?? 0
        parts.append("at most \(Units.format(bytes: most)) under way")
        switch trajectory.rampSeconds {
        case .value(let seconds): parts.append("\(WindowTrajectory.rampUtilisation) of the rate after \(Units.format(seconds: seconds))")
        case .unavailable(let reason): parts.append(reason)
        }
        return parts.joined(separator: "; ")
    }

    private static func stalls(_ figures: RunFigures, width: Int) -> [String] {
        var table = TextTable([TextTable.Column("held up by", .left), TextTable.Column("client"), TextTable.Column("server")])
        let rows: [(String, KeyPath<StallShares, Measured<Double>>)] = [
            ("the window: data queued, no credit", \.window), ("the socket: the kernel took no more", \.socket), ("sealing and opening", \.crypto),
            ("nothing queued", \.nothingQueued), ("received and not read", \.notReading),
        ]
        for (name, path) in rows {
            let cells = Side.allCases.map { figures.stalls[$0].value?[keyPath: path].value }
            guard cells.contains(where: { $0 != nil }) else { continue }
            table.add([name] + cells.map { share in share.map { "\(Units.fixed($0 * 100, places: 1)) %" } ?? "-" })
        }
        return table.isEmpty ? [] : table.lines(width: width, indent: 2)
    }
}
